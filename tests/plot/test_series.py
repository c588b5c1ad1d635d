"""Series: what is drawn of a field through time, and what is not."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.plot.series import (
    Point,
    Segment,
    Spell,
    interrupted,
    lines,
    merged,
    spells_within,
    suspicious_points,
    uncovered_since,
)
from tests.support.plots import DAY, FIRST, UNTIL, pe, plot, points, spell


def test_a_value_is_confirmed_from_its_first_observation_to_its_last_and_not_until_the_next() -> None:
    first, second = made = points(1.0, 2.0)
    assert lines(made) == (
        (
            Segment(first.observed_at, first.confirmed_at, 1.0, confirmed=True),
            Segment(first.confirmed_at, second.observed_at, 1.0, confirmed=False),
            Segment(second.observed_at, second.confirmed_at, 2.0, confirmed=True),
        ),
    )


def test_no_value_is_a_gap_and_no_zero() -> None:
    before, after = lines(points(1.0, None, None, 3.0))
    assert [segment.value for segment in before] == [1.0, 1.0]
    assert before[-1].end == FIRST + 7 * DAY  # the first observation that found no value
    assert [segment.value for segment in after] == [3.0]


def test_versions_in_which_the_field_did_not_change_are_one() -> None:
    made = points(1.0, 1.0, 2.0, 1.0)
    assert [point.value for point in merged(made)] == [1.0, 2.0, 1.0]
    assert merged(made)[0].confirmed_at == made[1].confirmed_at


def test_a_value_that_no_axis_can_hold_is_a_gap() -> None:
    assert [point.value for point in merged(points(1.0, 1e300, 2.0))] == [1.0, None, 2.0]
    assert suspicious_points(pe(1.0, 1e300, suspicious=[1])) == []


def test_a_spell_without_coverage_lies_among_the_snapshots_or_lasts() -> None:
    among, lasting = spell(FIRST + 4 * DAY, FIRST + 5 * DAY), spell(UNTIL + DAY, UNTIL + DAY)
    of = replace(plot(pe(1.0, 2.0, 3.0)), uncovered=(spell(FIRST - 9 * DAY, FIRST - 8 * DAY), among, lasting))
    assert spells_within(of) == [among]
    assert uncovered_since(of) == lasting.start
    covered = replace(of, uncovered=(among,))
    assert uncovered_since(covered) is None
    assert spells_within(replace(plot(pe()), uncovered=(among,))) == []


def test_no_value_is_confirmed_while_the_company_was_not_covered() -> None:
    (held,) = points(1.0, held=20 * DAY)
    inside, after = spell(FIRST + 4 * DAY, FIRST + 6 * DAY), spell(FIRST + 30 * DAY, FIRST + 31 * DAY)
    later = Point(FIRST + 32 * DAY, FIRST + 40 * DAY, 2.0)
    lasting = replace(spell(UNTIL, UNTIL), seen_again=None)
    assert interrupted([held, later], [inside, after, lasting]) == (
        Point(FIRST, FIRST + 3 * DAY, 1.0),
        Point(FIRST + 4 * DAY, FIRST + 6 * DAY, None),
        Point(FIRST + 7 * DAY, FIRST + 20 * DAY, 1.0),
        Point(FIRST + 30 * DAY, FIRST + 31 * DAY, None),
        later,
    )
    assert interrupted(points(None, 1.0), [spell(FIRST + DAY, FIRST + DAY)]) == points(None, 1.0)


@given(st.lists(st.sampled_from([1.0, 2.0, None]), min_size=1, max_size=12))
def test_a_line_is_solid_where_the_company_was_seen_and_nowhere_that_it_was_not_covered(
    days: list[float | None],
) -> None:
    """Each day an observation: of a value, or that the API does not cover the company."""
    snapshots: list[Point] = []
    spells: list[Spell] = []
    for number, value in enumerate(days):
        at, before = FIRST + number * DAY, FIRST + (number - 1) * DAY
        was_covered = number > 0 and days[number - 1] is not None
        if value is not None:
            if spells and not was_covered:
                spells[-1] = replace(spells[-1], seen_again=at)
            start = snapshots.pop().observed_at if snapshots and snapshots[-1].value == value else at
            snapshots.append(Point(start, at, value))
        elif was_covered:
            spells.append(Spell(at, at, before, None))
        elif spells:
            spells[-1] = replace(spells[-1], end=at)
    drawn = [segment for line in lines(interrupted(snapshots, spells)) for segment in line if segment.confirmed]
    for number, value in enumerate(days):
        at = FIRST + number * DAY
        assert [segment.value for segment in drawn if segment.start <= at <= segment.end] == [value] * (
            value is not None
        )
