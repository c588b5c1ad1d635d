"""API keys: those that this machine holds, from the environment. No error repeats one."""

from collections.abc import Sequence
from itertools import combinations

from pipeline.quota.keys import ApiKey
from pipeline.settings.environment import API_KEY, Environment, key_variables
from pipeline.settings.errors import SettingsError
from pipeline.settings.key_forms import mistake_in
from pipeline.settings.load import Settings
from pipeline.settings.near_misses import misnamed_key, unread_keys
from pipeline.settings.secret_files import is_secret_set, read_secret, secret_variable
from pipeline.text import few

FREE_KEY = "a free one: alphavantage.co/support/#api-key"
_SANDBOXED = "pipeline collect --sandbox"


def key_variable(environment: Environment, name: str = "") -> str | None:
    """Return the variable that the API key of that name is taken from, None if none is set."""
    return secret_variable(environment, *key_variables(name))


def api_key(environment: Environment, name: str = "", *, sandboxed: str = _SANDBOXED) -> str:
    """Return the API key of that name. Raise SettingsError if there is none, or if it cannot be a key.

    `sandboxed` is the command that needs none.
    """
    found = read_secret(environment, *key_variables(name), noun="key")
    if found is None:
        raise _no_keys(environment, [name], sandboxed) if name else _no_key(environment, sandboxed)
    return _checked_key(*found, sandboxed)


def api_keys(environment: Environment, settings: Settings, *, sandboxed: str = _SANDBOXED) -> tuple[ApiKey, ...]:
    """Return the configured API keys that this machine holds: all of them, or in a fleet one or more.

    Raise SettingsError if there is none, if one is missing (but in a fleet), if one cannot be a key, or if two are the
    same.
    """
    plans = settings.plans
    if len(plans) == 1:
        return (ApiKey(plans[0].name, api_key(environment, plans[0].name, sandboxed=sandboxed), plans[0].limits),)
    missing = [plan.name for plan in plans if not is_secret_set(environment, *key_variables(plan.name))]
    if missing and (settings.fleet is None or len(missing) == len(plans)):
        raise _no_keys(environment, missing, sandboxed)
    held = [
        ApiKey(plan.name, api_key(environment, plan.name, sandboxed=sandboxed), plan.limits)
        for plan in plans
        if plan.name not in missing
    ]
    for one, other in combinations(held, 2):
        if one.id == other.id:
            variables = " and ".join(str(key_variable(environment, key.name)) for key in (one, other))
            raise SettingsError(
                f"{variables} hold the same key", remedy="configure it once: the API counts requests by key"
            )
    return tuple(held)


def _no_keys(environment: Environment, names: Sequence[str], sandboxed: str) -> SettingsError:
    """Return the error for keys that are configured by name and not set."""
    problem = f"no API key for {few(names)}"
    for name in names:
        if misnamed := misnamed_key(environment, name):
            found, right = misnamed
            return SettingsError(f"{problem}: {found} is set, which is not read", remedy=f"rename it to {right}")
    if API_KEY in unread_keys(environment, names):
        problem += f": {API_KEY} is set, which is not read beside [[keys]]"
    wanted = [key_variables(name)[0] for name in names]
    remedy = f"set {few(wanted)}, in .env or the environment, or try without: {sandboxed}"
    return SettingsError(problem, remedy=remedy)


def _no_key(environment: Environment, sandboxed: str) -> SettingsError:
    """Return the error for the only key, which is not set. It names a variable that seems to hold one."""
    if misnamed := misnamed_key(environment):
        found, right = misnamed
        return SettingsError(f"no API key: {found} is set, which is not read", remedy=f"rename it to {right}")
    if named := unread_keys(environment, [""]):
        return SettingsError(
            f"no API key: {named[0]} is set, which is not read without [[keys]]",
            remedy=f"rename it to {API_KEY}, or configure a key of that name",
        )
    variable = key_variable(environment)
    if variable is None:
        return SettingsError("no API key", remedy=f"set {API_KEY}, write it into .env, or try without: {sandboxed}")
    return _empty_key(environment.origin(variable), sandboxed)


def _empty_key(origin: str, sandboxed: str) -> SettingsError:
    remedy = f"fill it in ({FREE_KEY}), or try without: {sandboxed}"
    return SettingsError(f"{origin}: the API key is empty", remedy=remedy)


def _checked_key(text: str, origin: str, sandboxed: str) -> str:
    key = text.strip()
    if not key:
        raise _empty_key(origin, sandboxed)
    if (mistake := mistake_in(key)) is not None:
        raise SettingsError(f"{origin}: invalid API key: {mistake.problem}", remedy=mistake.remedy)
    return key
