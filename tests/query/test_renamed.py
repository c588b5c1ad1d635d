"""Questions about companies that were renamed: either symbol, all of both, and nothing of another company's.

Each answer equals that of a brute-force reading of the observations: FB's until a rename, META's from then on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.companies import Companies
from pipeline.model.renames import Rename, spans
from pipeline.query.history import History
from tests.support.observations import Observed, after, database_of, recorded_year, seen, uncovered
from tests.support.recordings import needs_recordings
from tests.support.renames import configure, rename
from tests.support.vintages import Q1, reported

ON = after(10)


@pytest.fixture(scope="module")
def renamed() -> Path:
    """FB became META ten hours after the start; FB later, and META earlier, were others'. PEP was never renamed."""
    database = database_of([
        seen(1, "FB", EPS="1", Name="Facebook"), seen(3, "FB", EPS="1", Name="Facebook"),
        seen(5, "FB", EPS="2", Name="Facebook"), seen(2, "META", EPS="70", Name="Roundhill"),
        seen(11, "META", EPS="2", Name="Meta"), seen(12, "META", EPS="4", Name="Meta"),
        seen(13, "FB", EPS="90", Name="ProShares"), seen(1, "PEP", EPS="5"),
    ])  # fmt: skip
    configure(database, rename("FB", "META", ON))
    return database


@pytest.mark.parametrize("symbol", ["FB", "META", "meta"])
def test_history_has_all_of_both_symbols_in_order(renamed: Path, symbol: str) -> None:
    with History.open(renamed) as history:
        found = list(history.history(symbol, ["eps"]))

    assert [(one.observed_symbol, one["eps"]) for one in found] == [("FB", 1), ("FB", 2), ("META", 2), ("META", 4)]
    assert {one.symbol for one in found} == {"META"}


def test_history_within_an_interval_is_of_both_symbols(renamed: Path) -> None:
    with History.open(renamed) as history:
        found = [one["eps"] for one in history.history("FB", ["eps"], since=after(4), until=after(11))]

    assert found == [2, 2]


@pytest.mark.parametrize("symbol", ["META", "PEP"])
def test_the_first_so_many_are_the_beginning_of_the_history(renamed: Path, symbol: str) -> None:
    with History.open(renamed) as history:
        whole = list(history.history(symbol, ["eps"]).rows())
        for limit in range(len(whole) + 2):
            assert list(history.history(symbol, ["eps"], limit=limit).rows()) == whole[:limit]


@pytest.mark.parametrize(
    ("hours", "eps", "observed_symbol"), [(1, 1, "FB"), (9, 2, "FB"), (10.5, 2, "FB"), (11, 2, "META"), (20, 4, "META")]
)
def test_as_of_has_one_row_a_company_under_its_newest_symbol(
    renamed: Path, hours: float, eps: float, observed_symbol: str
) -> None:
    with History.open(renamed) as history:
        for symbol in ("FB", "META"):
            (found,) = history.as_of(after(hours), [symbol], ["eps"])
            assert (found.symbol, found["eps"], found.observed_symbol) == ("META", eps, observed_symbol)
        everyone = {one.symbol: one["eps"] for one in history.as_of(after(hours), None, ["eps"])}

    assert everyone["META"] == eps
    assert everyone["PEP"] == 5


def test_another_company_that_had_the_symbol_is_a_company_of_its_own(renamed: Path) -> None:
    with History.open(renamed) as history:
        names = history.symbols()
        (fund,) = (one for one in names if one.startswith("META@"))
        (later,) = (one for one in names if one.startswith("FB@"))
        found = {one.symbol: one["name"] for one in history.as_of(after(20), None, ["name"])}
        fund_alone = [one["name"] for one in history.history(fund, ["name"])]

    assert names == sorted(["META", "PEP", fund, later])
    assert found == {"META": "Meta", "PEP": None, fund: "Roundhill", later: "ProShares"}
    assert fund_alone == ["Roundhill"]


def test_columns_say_the_observed_symbol_only_where_a_rename_is_known(renamed: Path) -> None:
    with History.open(renamed) as history:
        assert history.as_of(after(1), None, ["eps"]).names[-1] == "observed_symbol"
        assert history.history("PEP", ["eps"]).names[-1] == "observed_symbol"
    with History.open(database_of([seen(0, "PEP", EPS="1")])) as history:
        assert history.as_of(after(1), None, ["eps"]).names[-1] == "eps"
        (found,) = history.history("PEP", ["eps"])
        assert found.observed_symbol is None


def test_documents_are_those_of_the_as_of_answer(renamed: Path) -> None:
    with History.open(renamed) as history:
        assert [one["Symbol"] for one in history.documents_as_of(after(9), ["META"])] == ["FB"]
        assert [one["Symbol"] for one in history.documents_as_of(after(20), ["FB", "PEP"])] == ["META", "PEP"]
        assert len(list(history.documents_as_of(after(20)))) == 4
        assert list(history.documents_as_of(after(20), ["FB"], max_staleness=timedelta(hours=1))) == []


def test_changes_go_on_over_the_rename(renamed: Path) -> None:
    with History.open(renamed) as history:
        found = [(one.symbol, one.field, one.before, one.after) for one in history.changes(["FB"])]

    assert found == [
        ("META", "eps", 1, 2),
        ("META", "symbol", "FB", "META"),
        ("META", "name", "Facebook", "Meta"),
        ("META", "eps", 2, 4),
    ]


def test_another_name_is_expected_of_a_rename_and_another_cik_is_not() -> None:
    known = {"FB": {"Name": "Facebook"}, "META": {"Name": "Zuck & Co"}, "A": {"CIK": "1"}, "B": {"CIK": "2"}}
    database = database_of([seen(hour, symbol, **known[symbol]) for hour, symbol in enumerate(known)])
    configure(database, rename("FB", "META"), rename("A", "B"))
    with History.open(database) as history:
        suspicious = [(one.symbol, one.field) for one in history.changes(suspicious=True)]

    assert suspicious == [("B", "cik")]


def test_the_change_of_the_symbol_can_be_asked_for(renamed: Path) -> None:
    with History.open(renamed) as history:
        (found,) = history.changes(fields=["symbol"])

    assert (found.before, found.after, found.part) == ("FB", "META", "profile")
    assert (found.last_confirmed_at, found.observed_at) == (after(5), after(11))


def test_changes_of_an_interval_compare_with_the_last_snapshot_before_it(renamed: Path) -> None:
    with History.open(renamed) as history:
        of_interval = [(one.field, one.before) for one in history.changes(["FB"], since=after(10))]
        of_everyone = {one.symbol for one in history.changes(since=after(10))}

    assert of_interval == [("symbol", "FB"), ("name", "Facebook"), ("eps", 2)]
    assert of_everyone == {"META"}


def test_what_is_observed_of_the_old_symbol_later_is_not_compared_with() -> None:
    database = database_of([seen(0, "FB", EPS="1"), seen(12, "FB", EPS="90"), seen(14, "META", EPS="2")])
    configure(database, rename("FB", "META", ON))
    with History.open(database) as history:
        found = [(one.field, one.before, one.after) for one in history.changes(["META"], since=after(13))]

    assert found == [("symbol", "FB", "META"), ("eps", 1, 2)]


def test_the_old_symbol_uncovered_counts_until_the_new_one_is_observed() -> None:
    database = database_of([
        seen(0, "FB"), uncovered(1, "FB"), seen(2, "META", EPS="1"), uncovered(3, "FB"),
        uncovered(5, "META"), uncovered(6, "FB"),
    ])  # fmt: skip
    configure(database, rename("FB", "META"))
    with History.open(database) as history:
        states = [(one.observed_at, one.after) for one in history.changes(["META"]) if one.field == "state"]

    assert states == [(after(1), "unknown"), (after(2), "covered"), (after(5), "unknown")]


def test_a_restatement_is_found_over_the_rename() -> None:
    database = database_of([reported(0, Q1, "100", symbol="FB"), reported(12, Q1, "90", symbol="META")])
    configure(database, rename("FB", "META", ON))
    with History.open(database) as history:
        (restated,) = history.restatements(None, ["revenue_ttm"])
        values = [one.value for one in history.vintages("FB", ["revenue_ttm"])]

    assert (restated.symbol, restated.before, restated.value) == ("META", 100, 90)
    assert values == [100, 90]


def test_confirmations_of_the_old_symbol_after_the_rename_are_not_the_companys() -> None:
    database = database_of([seen(0, "FB"), seen(9, "FB"), seen(12, "FB")])
    configure(database, rename("FB", "META", ON))
    with History.open(database) as history:
        (then,) = history.as_of(after(20), ["META"])
        (version,) = history.history("META")

    assert then.confirmed_at == version.confirmed_at == after(9)
    assert then.staleness == timedelta(hours=11)


def test_first_observed_is_under_the_first_symbol(renamed: Path) -> None:
    with History.open(renamed) as history:
        assert history.first_observed_at(["META"]) == after(1)
        assert history.first_observed_at() == after(1)


def test_of_two_at_one_instant_the_newest_symbols_counts() -> None:
    database = database_of([seen(0, "ZFB", EPS="1"), seen(0, "META", EPS="2")])
    configure(database, rename("ZFB", "META"))
    with History.open(database) as history:
        (found,) = history.as_of(after(0), ["META"], ["eps"])
        assert found["eps"] == 2
        assert [one["eps"] for one in history.history("META", ["eps"])] == [1, 2]


# Against brute force.

SYMBOLS = ("A", "B", "C", "D")


class Invented(NamedTuple):
    """Observations, of which no two documents of a symbol are equal, and renames."""

    observations: Sequence[Observed]
    renames: Sequence[Rename]


@st.composite
def histories(draw: st.DrawFn) -> Invented:
    places = draw(st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 12)), unique=True, min_size=1))
    observations = [seen(hour, symbol, EPS=str(number + 1)) for number, (symbol, hour) in enumerate(places)]
    order = draw(st.permutations(SYMBOLS))
    renames = []
    for place, old in enumerate(order[:-1]):
        if draw(st.booleans()):
            on = draw(st.none() | st.integers(0, 12).map(after))
            renames.append(rename(old, draw(st.sampled_from(order[place + 1 :])), on))
    return Invented(observations, renames)


def newest(invented: Invented, at: datetime) -> dict[str, tuple[str, str]]:
    """Return by company the symbol and EPS of its newest observation not after an instant, the newest symbol's if two.

    A document that was only confirmed after a rename is a version from before it.
    """
    companies = Companies(spans(invented.renames))
    found: dict[str, tuple[datetime, int, str, str]] = {}
    for one in invented.observations:
        company = companies.company_at(one.symbol, instants.to_text(one.at))
        if one.at <= at:
            assert one.document is not None
            rank = [span.symbol for span in companies.spans(company)].index(one.symbol)
            found[company] = max(
                found.get(company, (one.at, -1, "", "")), (one.at, rank, one.symbol, str(one.document["EPS"]))
            )
    return {company: (symbol, eps) for company, (_, _, symbol, eps) in found.items()}


@given(histories(), st.integers(0, 12))
def test_as_of_is_the_newest_observation_in_a_companys_spans(invented: Invented, hour: int) -> None:
    database = database_of(invented.observations)
    configure(database, *invented.renames)
    expected = newest(invented, after(hour))
    with History.open(database) as history:
        answer = history.as_of(after(hour), None, ["eps"])
        found = {one.symbol: (one.observed_symbol or one.symbol, f"{one['eps']:g}") for one in answer}
        documents = [one["EPS"] for one in history.documents_as_of(after(hour))]
        for company, (_, eps) in expected.items():
            assert [f"{one['eps']:g}" for one in history.as_of(after(hour), [company], ["eps"])] == [eps]

    assert found == expected
    assert documents == [expected[company][1] for company in sorted(expected)]


@given(histories())
def test_histories_of_all_companies_are_all_snapshots_once(invented: Invented) -> None:
    database = database_of(invented.observations)
    configure(database, *invented.renames)
    with History.open(database) as history:
        found = [
            (one.observed_symbol or one.symbol, one.observed_at, f"{one['eps']:g}")
            for company in history.symbols()
            for one in history.history(company, ["eps"])
        ]

    assert sorted(found) == sorted(
        (one.symbol, one.at, str(one.document["EPS"])) for one in invented.observations if one.document
    )


@given(histories(), st.integers(0, 12))
def test_changes_are_between_neighbours_of_a_companys_history(invented: Invented, hour: int) -> None:
    database = database_of(invented.observations)
    configure(database, *invented.renames)
    with History.open(database) as history:
        found = [(one.symbol, one.after) for one in history.changes(fields=["eps"], since=after(hour))]
        expected = [
            (company, later["eps"])
            for company in history.symbols()
            for versions in [list(history.history(company, ["eps"]))]
            for _, later in pairwise(versions)
            if later.observed_at >= after(hour)
        ]

    assert found == expected


@st.composite
def confirmed_histories(draw: st.DrawFn) -> Invented:
    """Observations of which many only confirm, stored in any order, and renames."""
    places = draw(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 12)), unique=True, min_size=1))
    observations = [seen(hour, symbol, EPS=draw(st.sampled_from("12"))) for symbol, hour in places]
    on = draw(st.none() | st.integers(0, 12).map(after))
    return Invented(observations, [rename("A", "B", on)] if draw(st.booleans()) else [rename("B", "A", on)])


def versions(invented: Invented, symbol: str) -> list[list[Observed]]:
    """Return the observations of a symbol in order, each list of one document."""
    ordered = sorted((one for one in invented.observations if one.symbol == symbol), key=lambda one: one.at)
    return [list(same) for _, same in groupby(ordered, key=lambda one: one.document)]


def last_seen(invented: Invented, at: datetime) -> dict[str, tuple[datetime, datetime]]:
    """Return by company when its newest snapshot was observed, and last seen in its span, not after an instant."""
    found: dict[str, tuple[datetime, int, datetime]] = {}
    companies = Companies(spans(invented.renames))
    for company in companies.renamed:
        for rank, span in enumerate(companies.spans(company)):
            for version in versions(invented, span.symbol):
                seen_in_span = [
                    one.at for one in version if one.at <= at and span.since <= instants.to_text(one.at) < span.until
                ]
                if seen_in_span and seen_in_span[0] == version[0].at:
                    known = (version[0].at, rank, seen_in_span[-1])
                    found[company] = max(found.get(company, known), known)
    return {company: (observed_at, last) for company, (observed_at, _, last) in found.items()}


@given(confirmed_histories(), st.integers(0, 12))
def test_what_only_confirms_counts_for_the_company_whose_span_it_is_in(invented: Invented, hour: int) -> None:
    database = database_of(*([one] for one in invented.observations))
    configure(database, *invented.renames)
    with History.open(database) as history:
        found = {one.symbol: (one.observed_at, one.confirmed_at) for one in history.as_of(after(hour))}
        newest = {one.symbol: one.confirmed_at for company in history.symbols() for one in history.history(company)}

    assert found == last_seen(invented, after(hour))
    assert newest == {company: last for company, (_, last) in last_seen(invented, after(12)).items()}


@needs_recordings
def test_a_recorded_company_cut_in_two_symbols_answers_as_it_does_whole() -> None:
    """Each answer of Microsoft's recorded year, whose first half is observed as OLD, is that of the uncut year."""
    year = [one for one in recorded_year() if one.symbol == "MSFT" and one.document is not None]
    on = year[len(year) // 2].at
    cut = [
        Observed("OLD", one.at, {**one.document, "Symbol": "OLD"}) if one.at < on and one.document else one
        for one in year
    ]
    whole, halves = database_of(year), database_of(cut)
    configure(halves, rename("OLD", "MSFT", on))
    with History.open(whole) as expected, History.open(halves) as found:
        for at in {moment for one in year for moment in (one.at, one.at - timedelta(milliseconds=1))}:
            assert values_at(found, at) == values_at(expected, at)
        assert list(found.vintages("OLD")) == list(expected.vintages("MSFT"))
        assert list(found.restatements()) == list(expected.restatements())
        changed = [one for one in found.changes(["OLD"]) if one.field != "symbol"]
        assert [(one.field, one.before, one.after, one.observed_at, one.suspicion) for one in changed] == [
            (one.field, one.before, one.after, one.observed_at, one.suspicion) for one in expected.changes(["MSFT"])
        ]


def values_at(history: History, at: datetime) -> list[tuple[object, ...]]:
    """Return what was known of it at an instant: all values, and how stale they were."""
    return [(one.symbol, one.staleness, tuple(one.values.items())) for one in history.as_of(at, None, "all")]
