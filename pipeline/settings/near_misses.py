"""Near misses: variables that have no effect, and the one that each was probably meant to be."""

import difflib
import re
from collections.abc import Iterable, Iterator

from pipeline.settings.environment import (
    API_KEY,
    API_KEY_FILE,
    CONFIG,
    FLEET_URL,
    FLEET_URL_FILE,
    NOTIFY_URLS,
    OF_FILE,
    PING_URL,
    PREFIX,
    WEB_TOKEN,
    Environment,
    is_setting,
    key_variables,
    variable_of,
)
from pipeline.settings.errors import SettingsError, shown
from pipeline.settings.schema import SETTABLE

_ALMOST_EQUAL = 0.9
"""How similar a variable must be to a known one to be a misspelling; others may share the prefix."""
_OTHERS = (CONFIG, FLEET_URL, FLEET_URL_FILE, NOTIFY_URLS, PING_URL, WEB_TOKEN)
_KNOWN = (*map(variable_of, SETTABLE), *_OTHERS)
_FOR_A_KEY = re.compile(
    r"(?:ALPHA(?:VANTAGE)?|AV|PIPELINE)(?:API)?(?:KEY|TOKEN)(?P<file>FILE|PATH)?|ALPHAVANTAGE(?:API)?"
)
"""What other programs call the API key, or a file that holds it, in letters alone."""


def _letters(name: str) -> str:
    return re.sub("[^A-Z]", "", name.upper())


_SPELLINGS = {_letters(variable): variable for variable in (*_KNOWN, API_KEY, API_KEY_FILE)}
_PARTS = {
    **{key.rpartition(".")[2].upper(): variable_of(key) for key in reversed(SETTABLE)},
    **{key.partition(".")[0].upper(): variable_of(key) for key in reversed(SETTABLE)},
}
"""The variables by what is left of their names without the table, or with nothing but the table (its first key)."""


def unread_variables(names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each variable that begins like one of this program and is not read, and the one that was meant, if any."""
    for name in sorted(names):
        if name.upper().startswith(PREFIX) and not is_setting(name) and name not in _OTHERS:
            yield shown(name), _meant(name)


def misspelt_variables(names: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each variable that looks like a known one and has no effect. Others may share the prefix."""
    for name, meant in unread_variables(names):
        if meant is not None or "__" in name:
            yield f"{name} has no effect: {hint(meant)}"


def hint(meant: str | None) -> str:
    """Return what to do about a variable that is not read."""
    return f"did you mean {meant}?" if meant else "pipeline config lists the keys"


def misnamed_key(environment: Environment, name: str = "") -> tuple[str, str] | None:
    """Return a variable that seems to hold the API key of a name under another, and the right one; None without one."""
    right = dict(zip((API_KEY, API_KEY_FILE), key_variables(name), strict=True))
    for variable, value in sorted(environment.variables.items()):
        meant = right.get(_name_of_key(_without_ending(variable, name)) or "")
        if meant is not None and variable != meant and value.strip():
            return environment.origin(variable), meant
    return None


def unread_keys(environment: Environment, names: Iterable[str]) -> list[str]:
    """Return the variables for API keys that are set, and are not those of the keys of these names."""
    known = {variable for name in names for variable in key_variables(name)}
    found = sorted(name for name, value in environment.variables.items() if name.startswith(API_KEY) and value.strip())
    return [shown(name) for name in found if name not in known]


def no_symbols(environment: Environment, remedy: str) -> SettingsError:
    """Return the error for a list of symbols that is empty. It names a variable that seems to hold one."""
    for name, meant in unread_variables(environment.variables):
        if meant in (variable_of("symbols.list"), variable_of("symbols.file")):
            found = environment.origin(name)
            return SettingsError(f"no symbols: {found} is set, which is not read", remedy=f"rename it to {meant}")
    return SettingsError("no symbols", remedy=remedy)


def _meant(name: str) -> str | None:
    exact = _SPELLINGS.get(_letters(name)) or _PARTS.get(name.upper().removeprefix(PREFIX)) or _name_of_key(name)
    near = difflib.get_close_matches(name.upper(), _KNOWN, n=1, cutoff=_ALMOST_EQUAL)
    return exact or (near[0] if near else None)


def _without_ending(variable: str, name: str) -> str:
    """Return the variable as it would be for the only key, if it ends in the name of this one; else nothing."""
    if not name:
        return variable
    upper, ending = variable.upper(), f"_{name.upper()}"
    of_file = OF_FILE if upper.endswith(OF_FILE) else ""
    base = upper.removesuffix(OF_FILE)
    is_of_another = variable.startswith(f"{API_KEY}_") and upper not in key_variables(name)
    return "" if is_of_another or not base.endswith(ending) else base.removesuffix(ending) + of_file


def _name_of_key(name: str) -> str | None:
    """Return which of the two variables of the key a name stands for, if it does."""
    letters = _letters(name)
    if found := _FOR_A_KEY.fullmatch(letters):
        return API_KEY_FILE if found["file"] else API_KEY
    near = difflib.get_close_matches(letters, [_letters(API_KEY), _letters(API_KEY_FILE)], n=1, cutoff=_ALMOST_EQUAL)
    return _SPELLINGS[near[0]] if near else None
