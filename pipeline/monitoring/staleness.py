"""Staleness: which symbols are stale. The one place that says what stale means."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pipeline import instants
from pipeline.model.symbols import Symbol
from pipeline.store.reader import SymbolState


def stale(
    symbols: Sequence[Symbol],
    states: Mapping[str, SymbolState],
    *,
    observed_since: datetime,
    scheduled_since: datetime | None,
) -> list[Symbol]:
    """Return the symbols whose overview was last observed before `observed_since`, or never.

    Symbols that the API has never covered are left out.

    If the first schedule is newer than that (`scheduled_since`; None: there is no schedule), nothing can have been
    missed yet, and a symbol never observed is not stale.
    """
    since = instants.to_text(observed_since)
    never = "9999" if scheduled_since is not None and scheduled_since > observed_since else ""
    return [symbol for symbol in symbols if _is_stale(states.get(symbol), since, never)]


def _is_stale(state: SymbolState | None, since: str, never: str) -> bool:
    if state is None:
        return never < since
    is_never_covered = state.state == "unknown" and not state.is_uncovered
    return not is_never_covered and (state.last_overview or never) < since
