"""Plans: the API keys that are configured, and what each may send."""

import difflib
import re
from collections.abc import Sequence
from itertools import combinations

from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PLANS, Limit
from pipeline.redaction import without_lookalikes
from pipeline.settings.errors import SettingsError, quoted
from pipeline.settings.layers import Layer, Layered
from pipeline.settings.schema import KeyTable, places

_NAME = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)
_NAMING = "use up to 40 letters, digits and _: the key's variable ends in it"
_OF_FILES = re.compile(r"(?:.*_)?file", re.IGNORECASE)
"""Names whose variable would be that of a key file."""
_OF_ONE = ("source.plan", "source.limits")


def read_plans(read: Layered) -> tuple[KeyPlan, ...]:
    """Return the plan of each key: of those of [[keys]] or [[fleet.keys]], else of the one key, which has no name.

    Raise SettingsError for both lists, an invalid or repeated name, and limits in two places.
    """
    configured = read.configuration
    of_fleet = configured.fleet.keys if configured.fleet is not None else []
    if configured.keys and of_fleet:
        raise SettingsError(f"{read.path}: [[keys]] and [[fleet.keys]] are both set", remedy="keep one of them")
    place, tables = ("fleet.keys", of_fleet) if of_fleet else ("keys", configured.keys)
    if not tables:
        return (KeyPlan("", _limits(read, "source", configured.source.plan, configured.source.limits)),)
    for path in _OF_ONE:
        if read.origin(path).layer is not Layer.DEFAULT:
            raise SettingsError(
                f"{read.place(path)} is set, and so is [[{place}]]",
                remedy=f"remove it: each key has its own plan, in {place}[1] and so on",
            )
    return _of_tables(read, place, tables)


def _of_tables(read: Layered, place: str, tables: Sequence[KeyTable]) -> tuple[KeyPlan, ...]:
    plans = {}
    for path, table in places(place, tables).items():
        if not table.name:
            raise SettingsError(f"{read.path}: {path}.name: a key needs a name", remedy=_NAMING)
        name = read.checked(f"{path}.name", _key_name, table.name)
        plans[path] = KeyPlan(name, _limits(read, path, table.plan, table.limits))
    for (path, one), (other, two) in combinations(plans.items(), 2):
        if one.name.upper() == two.name.upper():
            raise SettingsError(f"{read.path}: {path} and {other} are both named {one.name}", remedy="rename one")
    return tuple(plans.values())


def _key_name(name: str) -> str:
    if not _NAME.fullmatch(name) or without_lookalikes(name) != name:
        raise SettingsError(f"invalid name {quoted(name)}", remedy=_NAMING)
    if _OF_FILES.fullmatch(name):
        raise SettingsError(f"invalid name {quoted(name)}", remedy="use one that does not end in file: key files do")
    return name


def _limits(read: Layered, place: str, plan: str, limits: list[str] | None) -> tuple[Limit, ...]:
    """Return the limits, or those of the plan: whichever the later layer sets. One layer must not set both."""
    of_plan, of_limits = read.origin(f"{place}.plan"), read.origin(f"{place}.limits")
    if limits is not None:
        if of_plan.layer is of_limits.layer:
            raise SettingsError(
                f"{of_limits.name}: {place}.plan and {place}.limits are both set", remedy="keep one of them"
            )
        if of_limits.layer > of_plan.layer:
            return tuple(read.checked(f"{place}.limits", Limit.parse, text) for text in limits)
    return read.checked(f"{place}.plan", _plan, plan)


def _plan(name: str) -> tuple[Limit, ...]:
    if name in PLANS:
        return PLANS[name]
    near = difflib.get_close_matches(name, PLANS, n=1)
    raise SettingsError(
        f"unknown plan {quoted(name)} (expected one of: {', '.join(PLANS)})",
        remedy=f"did you mean {near[0]}?" if near else None,
    )
