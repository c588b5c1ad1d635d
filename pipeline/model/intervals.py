"""Intervals: merges observations, in any order, into versions and the time each is known to have held.

The result depends on the set of observations only, not on their order. An observation that arrives late, between two
others, is inserted by folding the stretch around it again; the rows that differ are the ones to write.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.model.outcomes import Outcome

Version = TypeVar("Version")


@dataclass(frozen=True, slots=True)
class Interval(Generic[Version]):
    """A version first observed at one instant, and observed unchanged at `confirmations`, in order."""

    version: Version
    observed_at: str
    confirmations: tuple[str, ...] = ()

    @property
    def confirmed_at(self) -> str:
        """When the version was last observed."""
        return self.confirmations[-1] if self.confirmations else self.observed_at

    def instants(self) -> Iterator[str]:
        """Yield every instant at which the version was observed."""
        yield self.observed_at
        yield from self.confirmations


@dataclass(frozen=True, slots=True)
class Merged(Generic[Version]):
    """What new observations change in a stretch of stored intervals: an outcome for each, and the rows to write."""

    outcomes: list[Outcome]
    removed: list[str]
    """Instants of snapshots that no longer are any."""
    added: list[Interval[Version]]
    confirmed: list[Interval[Version]]
    """Snapshots that stay, with other confirmations."""
    removed_observations: list[str]
    added_observations: list[str]


def merge(
    stored: Sequence[Interval[Version]], new: Sequence[tuple[str, Version]], same: Callable[[Version, Version], bool]
) -> Merged[Version]:
    """Return what new observations, in the order they came, change in the stored intervals that they can touch.

    Of two different versions observed at the same instant the first stays, and the second is rejected.
    """
    if _continues(stored, new):
        return _append(stored, new, same)
    seen = {at: interval.version for interval in stored for at in interval.instants()}
    before = frozenset(seen)
    settled: dict[int, Outcome] = {}
    for number, (at, version) in enumerate(new):
        if at in seen:
            settled[number] = Outcome.UNCHANGED if same(seen[at], version) else Outcome.REJECTED
        else:
            seen[at] = version
    intervals = fold(sorted(seen.items(), key=lambda observation: observation[0]), same)
    first_seen = {one.observed_at for one in intervals if before.isdisjoint(one.instants())}
    old = {interval.observed_at: interval for interval in stored}
    now = {interval.observed_at: interval for interval in intervals}
    old_confirmations = {at for interval in stored for at in interval.confirmations}
    now_confirmations = {at for interval in intervals for at in interval.confirmations}
    return Merged(
        outcomes=[
            settled.get(number, Outcome.STORED if at in first_seen else Outcome.UNCHANGED)
            for number, (at, _) in enumerate(new)
        ],
        removed=[at for at in old if at not in now],
        added=[interval for at, interval in now.items() if at not in old],
        confirmed=[one for at, one in now.items() if at in old and one.confirmations != old[at].confirmations],
        removed_observations=sorted(old_confirmations - now_confirmations),
        added_observations=sorted(now_confirmations - old_confirmations),
    )


def _continues(stored: Sequence[Interval[Version]], new: Sequence[tuple[str, Version]]) -> bool:
    """Whether new observations are in order and later than all stored ones, as in nearly every run and import."""
    last = stored[-1].confirmed_at if stored else ""
    for at, _ in new:
        if at <= last:
            return False
        last = at
    return True


def _append(
    stored: Sequence[Interval[Version]], new: Sequence[tuple[str, Version]], same: Callable[[Version, Version], bool]
) -> Merged[Version]:
    """Return what `merge` does for observations that continue the stored ones, at a third of the cost."""
    added = fold(new, same)
    confirmed = []
    confirmations = []
    if stored and added and same(stored[-1].version, added[0].version):
        confirmations = [*added.pop(0).instants()]
        last = stored[-1]
        confirmed = [Interval(last.version, last.observed_at, (*last.confirmations, *confirmations))]
    first_seen = {interval.observed_at for interval in added}
    return Merged(
        outcomes=[Outcome.STORED if at in first_seen else Outcome.UNCHANGED for at, _ in new],
        removed=[],
        added=added,
        confirmed=confirmed,
        removed_observations=[],
        added_observations=[*confirmations, *(at for interval in added for at in interval.confirmations)],
    )


def fold(
    observations: Iterable[tuple[str, Version]], same: Callable[[Version, Version], bool]
) -> list[Interval[Version]]:
    """Return the intervals of observations that are in order: each run of the same version, from first to last."""
    runs: list[tuple[Version, list[str]]] = []
    for at, version in observations:
        if runs and (runs[-1][0] is version or same(runs[-1][0], version)):
            runs[-1][1].append(at)
        else:
            runs.append((version, [at]))
    return [Interval(version, first, tuple(later)) for version, (first, *later) in runs]
