"""Intervals: looks in whatever order in, the versions they saw and when each is known to have held out.

The record is a function of the set of looks, and of nothing else. So a look that comes late, between two others, is put
there by folding the stretch around it anew, and the rows that differ are the ones to write.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.model.outcomes import Outcome

Version = TypeVar("Version")


@dataclass(frozen=True, slots=True)
class Interval(Generic[Version]):
    """A version first seen at one instant, and seen unchanged at `confirmations`, each later than the one before."""

    version: Version
    observed_at: str
    confirmations: tuple[str, ...] = ()

    @property
    def confirmed_at(self) -> str:
        return self.confirmations[-1] if self.confirmations else self.observed_at

    def instants(self) -> Iterator[str]:
        """Yield every instant at which the version was seen."""
        yield self.observed_at
        yield from self.confirmations


@dataclass(frozen=True, slots=True)
class Merged(Generic[Version]):
    """What new looks make of a stretch of the record: what became of each, and the rows that differ."""

    outcomes: list[Outcome]
    removed: list[str]
    """Snapshots that are none any more."""
    added: list[Interval[Version]]
    confirmed: list[Interval[Version]]
    """Snapshots that stay, and were last confirmed at another instant than before."""
    removed_observations: list[str]
    added_observations: list[str]


def merge(
    kept: Sequence[Interval[Version]], new: Sequence[tuple[str, Version]], same: Callable[[Version, Version], bool]
) -> Merged[Version]:
    """Return what new looks, in the order they came, make of the kept intervals that they may touch.

    Of two versions seen at one instant the first stays, and the other is rejected.
    """
    if _continues(kept, new):
        return _continued(kept, new, same)
    seen = {at: interval.version for interval in kept for at in interval.instants()}
    before = frozenset(seen)
    known: dict[int, Outcome] = {}
    for number, (at, version) in enumerate(new):
        if at in seen:
            known[number] = Outcome.UNCHANGED if same(seen[at], version) else Outcome.REJECTED
        else:
            seen[at] = version
    intervals = fold(sorted(seen.items(), key=lambda look: look[0]), same)
    stored = {one.observed_at for one in intervals if before.isdisjoint(one.instants())}
    old = {interval.observed_at: interval for interval in kept}
    now = {interval.observed_at: interval for interval in intervals}
    old_looks = {at for interval in kept for at in interval.confirmations}
    now_looks = {at for interval in intervals for at in interval.confirmations}
    return Merged(
        outcomes=[
            known.get(number, Outcome.STORED if at in stored else Outcome.UNCHANGED)
            for number, (at, _) in enumerate(new)
        ],
        removed=[at for at in old if at not in now],
        added=[interval for at, interval in now.items() if at not in old],
        confirmed=[one for at, one in now.items() if at in old and one.confirmed_at != old[at].confirmed_at],
        removed_observations=sorted(old_looks - now_looks),
        added_observations=sorted(now_looks - old_looks),
    )


def _continues(kept: Sequence[Interval[Version]], new: Sequence[tuple[str, Version]]) -> bool:
    """Whether new looks come in order, and after all that is kept: as they do in nearly every run and recording."""
    last = kept[-1].confirmed_at if kept else ""
    for at, _ in new:
        if at <= last:
            return False
        last = at
    return True


def _continued(
    kept: Sequence[Interval[Version]], new: Sequence[tuple[str, Version]], same: Callable[[Version, Version], bool]
) -> Merged[Version]:
    """Return what `merge` does of looks that go on where the kept ones end, at a third of the cost."""
    added = fold(new, same)
    confirmed = []
    looks = []
    if kept and added and same(kept[-1].version, added[0].version):
        looks = [*added.pop(0).instants()]
        last = kept[-1]
        confirmed = [Interval(last.version, last.observed_at, (*last.confirmations, *looks))]
    stored = {interval.observed_at for interval in added}
    return Merged(
        outcomes=[Outcome.STORED if at in stored else Outcome.UNCHANGED for at, _ in new],
        removed=[],
        added=added,
        confirmed=confirmed,
        removed_observations=[],
        added_observations=[*looks, *(at for interval in added for at in interval.confirmations)],
    )


def fold(looks: Iterable[tuple[str, Version]], same: Callable[[Version, Version], bool]) -> list[Interval[Version]]:
    """Return the intervals of looks that are in order: each run of the same version, from its first to its last."""
    runs: list[tuple[Version, list[str]]] = []
    for at, version in looks:
        if runs and (runs[-1][0] is version or same(runs[-1][0], version)):
            runs[-1][1].append(at)
        else:
            runs.append((version, [at]))
    return [Interval(version, first, tuple(later)) for version, (first, *later) in runs]
