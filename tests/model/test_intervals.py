"""Intervals: observations in any order and portions give the intervals that they give in order."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.intervals import Interval, Merged, fold, merge
from pipeline.model.outcomes import Outcome

Observation = tuple[str, str]
"""An instant, and the version seen. A and a are the same, as documents are whose keys come in another order."""

INSTANTS = "abcdefgh"
OBSERVATIONS = st.lists(st.tuples(st.sampled_from(INSTANTS), st.sampled_from("AaBbC")), max_size=16)


def same(one: str, other: str) -> bool:
    return one.upper() == other.upper()


def in_order(observations: Sequence[Observation]) -> list[tuple[str, str, str, list[str]]]:
    """Compute intervals the naive way: version, first and last instant, and the instants after the first."""
    first = dict(reversed(observations))
    kept: list[tuple[str, str, str, list[str]]] = []
    for at, version in sorted(first.items()):
        if kept and same(kept[-1][0], version):
            letter, observed, _, later = kept[-1]
            kept[-1] = (letter, observed, at, [*later, at])
        else:
            kept.append((version.upper(), at, at, []))
    return kept


class Rows:
    """The rows of the database, changed only as a merge says."""

    def __init__(self) -> None:
        self.snapshots: dict[str, tuple[str, str]] = {}
        self.observations: set[str] = set()

    def intervals(self) -> list[Interval[str]]:
        return [
            Interval(version, at, tuple(sorted(one for one in self.observations if at < one <= confirmed)))
            for at, (version, confirmed) in sorted(self.snapshots.items())
        ]

    def apply(self, merged: Merged[str]) -> None:
        before = {one.observed_at: one.confirmations for one in self.intervals()}
        for at in merged.removed:
            del self.snapshots[at]
        for one in merged.added:
            assert one.observed_at not in self.snapshots
            self.snapshots[one.observed_at] = one.version, one.confirmed_at
        for one in merged.confirmed:
            assert before.pop(one.observed_at) != one.confirmations, "a row that stays as it was is not written"
            version, _ = self.snapshots[one.observed_at]
            self.snapshots[one.observed_at] = version, one.confirmed_at
        assert self.observations.issuperset(merged.removed_observations)
        assert self.observations.isdisjoint(merged.added_observations)
        self.observations = (self.observations - set(merged.removed_observations)) | set(merged.added_observations)
        for one in self.intervals():
            assert before.get(one.observed_at, one.confirmations) == one.confirmations, "each that changed is written"

    def shown(self) -> list[tuple[str, str, str, list[str]]]:
        return shown(self.intervals())


def shown(intervals: Sequence[Interval[str]]) -> list[tuple[str, str, str, list[str]]]:
    return [(one.version.upper(), one.observed_at, one.confirmed_at, list(one.confirmations)) for one in intervals]


@settings(max_examples=100)
@given(observations=OBSERVATIONS, data=st.data())
def test_observations_in_any_order_and_portions_give_the_fold_of_their_set(
    observations: list[Observation], data: st.DataObject
) -> None:
    rows = Rows()
    left = observations
    while left:
        count = data.draw(st.integers(1, len(left)))
        rows.apply(merge(rows.intervals(), left[:count], same))
        left = left[count:]
    assert rows.shown() == in_order(observations)
    assert not rows.observations & rows.snapshots.keys()


@settings(max_examples=100)
@given(kept=OBSERVATIONS, new=OBSERVATIONS)
def test_each_observation_gets_its_outcome(kept: list[Observation], new: list[Observation]) -> None:
    rows = Rows()
    rows.apply(merge([], kept, same))
    merged = merge(rows.intervals(), new, same)

    known = dict(reversed(kept))
    snapshots = in_order([*kept, *new])
    expected = []
    for at, version in new:
        if at in known:
            expected.append(Outcome.UNCHANGED if same(known[at], version) else Outcome.REJECTED)
            continue
        known[at] = version
        _, observed, _, later = next(one for one in snapshots if one[1] <= at <= one[2])
        seen_before = {old for old, _ in kept} & {observed, *later}
        expected.append(Outcome.STORED if at == observed and not seen_before else Outcome.UNCHANGED)
    assert merged.outcomes == expected


@settings(max_examples=100)
@given(versions=st.text("AaBbC", max_size=12))
def test_a_fold_is_each_run_of_one_version_from_its_first_observation_to_its_last(versions: str) -> None:
    observations = [(f"{n:02}", version) for n, version in enumerate(versions)]

    folded = fold(observations, same)

    assert shown(folded) == in_order(observations)
    assert [at for one in folded for at in one.instants()] == [at for at, _ in observations]


def test_an_observation_between_two_of_another_version_splits_their_interval() -> None:
    merged = merge([Interval("A", "a", ("c", "d"))], [("b", "B")], same)

    assert merged.added == [Interval("B", "b"), Interval("A", "c", ("d",))]
    assert merged.confirmed == [Interval("A", "a")]
    assert (merged.removed, merged.removed_observations, merged.added_observations) == ([], ["c"], [])


def test_an_observation_before_the_first_takes_its_place() -> None:
    merged = merge([Interval("A", "b", ("c",))], [("a", "A")], same)

    assert merged.outcomes == [Outcome.UNCHANGED], "the version was known: no new snapshot"
    assert merged.removed == ["b"]
    assert merged.added == [Interval("A", "a", ("b", "c"))]
    assert (merged.confirmed, merged.removed_observations, merged.added_observations) == ([], [], ["b"])
