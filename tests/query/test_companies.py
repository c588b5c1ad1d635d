"""Companies: which one a symbol means, old or new, and which have snapshots."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import History
from pipeline.model.companies import Companies
from pipeline.model.renames import Rename, spans
from pipeline.model.symbols import Symbol
from pipeline.query.companies import check_companies, read_companies, stored_companies
from pipeline.store.reader import NoData
from pipeline.store.stored_symbols import SymbolNotFound
from tests.support.observations import after, database_of, empty_database, seen
from tests.support.renames import configure, rename

ON = after(10)


@pytest.fixture(scope="module")
def reused() -> Path:
    """FB became META ten hours after the start; each was another company's at the other time. PEP never changed."""
    database = database_of([
        seen(0, "FB"), seen(12, "FB", EPS="1"), seen(1, "META"), seen(11, "META", EPS="1"), seen(0, "PEP"),
    ])  # fmt: skip
    configure(database, rename("FB", "META", ON))
    return database


@pytest.fixture
def db(reused: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(reused)) as opened:
        yield opened


@pytest.fixture
def companies(db: sqlite3.Connection) -> Companies:
    return read_companies(db)


@pytest.mark.parametrize("given", ["FB", "fb", "META", "fb@2026-01-01"])
def test_either_symbol_means_the_company(companies: Companies, given: str) -> None:
    assert companies.named(given) == "META"
    assert [span.symbol for span in companies.spans("META")] == ["FB", "META"]


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_class_share_is_found_in_both_spellings_and_where_both_are_kept_each_means_itself(is_renamed: bool) -> None:
    database = database_of([seen(12, one) for one in ("BRK-B", "BF.B", "RDS.A", "RDS-A", "VOD.L")])
    if is_renamed:
        configure(database, rename("OLD", "BRK-B", ON))
    with History.open(database) as history:
        assert history.check_symbols(["brk.b", "BRK-B", "bf-b", "RDS.A", "VOD.L"]) == [
            "BF.B",
            "BRK-B",
            "RDS.A",
            "VOD.L",
        ]
        assert [one.symbol for one in history.as_of("now", ["brk.b"])] == ["BRK-B"]
        for unknown in ("VOD-L", "BRK.A", "brkb", "BRK.B.C"):
            with pytest.raises(SymbolNotFound, match=unknown.upper()):
                history.check_symbols([unknown])
    with History.open(database, until=after(-1)) as before, pytest.raises(NoData):
        before.check_symbols(["BRK.B"])


def test_what_a_rename_cut_off_is_reached_by_an_instant(companies: Companies) -> None:
    later, earlier = companies.named("FB@2026-12-31"), companies.named("META@2026-01-01")

    assert [(span.symbol, span.since) for span in companies.spans(later)] == [("FB", companies.spans("META")[1].since)]
    assert [span.symbol for span in companies.spans(earlier)] == ["META"]
    assert companies.named(later) == later
    assert companies.named(later.lower()) == later


def test_a_reused_symbol_means_the_company_that_has_it_now(tmp_path: Path) -> None:
    database = database_of([seen(0, "FB"), seen(12, "FB", EPS="1"), seen(11, "META")])
    configure(database, Rename(Symbol("FB"), Symbol("META"), ON, reused=True))
    with closing(sqlite3.connect(database)) as db:
        companies = read_companies(db)
        assert stored_companies(db, companies) == ["FB", "META"]

    assert companies.named("FB") == "FB"
    assert companies.named("FB@2026-01-01") == "META"


def test_the_company_that_has_a_reused_symbol_now_is_not_found_before_its_first_snapshot() -> None:
    database = database_of([seen(0, "FB"), seen(11, "META")])
    configure(database, rename("FB", "META", ON, reused=True))

    with History.open(database) as history, pytest.raises(SymbolNotFound, match="FB"):
        history.check_symbols(["FB"])


def test_a_symbol_that_two_renamed_companies_had_means_the_later_one() -> None:
    """As META was: a fund's until it was renamed METV, and Facebook's afterwards."""
    known = Companies(spans([rename("META", "METV", ON - timedelta(days=90)), rename("FB", "META", ON)]))

    assert (known.named("META"), known.named("METV"), known.named("FB")) == ("META", "METV", "META")
    assert known.named("META@2026-01-01") != "META"


def test_a_symbol_that_was_never_renamed_is_a_company(companies: Companies) -> None:
    (span,) = companies.spans(companies.named("pep"))

    assert span.symbol == span.company == "PEP"
    assert companies.named("PEP@2020-01-01") == "PEP"


def test_each_company_with_a_snapshot_is_listed(db: sqlite3.Connection, companies: Companies) -> None:
    later, earlier = companies.named("FB@2026-12-31"), companies.named("META@2026-01-01")

    assert stored_companies(db, companies) == sorted(["META", "PEP", later, earlier])


def test_companies_are_checked(db: sqlite3.Connection, companies: Companies, reused: Path) -> None:
    assert check_companies(db, reused, companies, ["pep", "FB", "META"]) == ["META", "PEP"]
    with pytest.raises(SymbolNotFound, match="PEEP") as error:
        check_companies(db, reused, companies, ["peep"])
    assert "PEP" in str(error.value)
    with pytest.raises(SymbolNotFound, match="never"):
        check_companies(db, reused, companies, ["FB@never"])


def test_a_company_without_a_snapshot_is_not_found() -> None:
    database = database_of([seen(0, "FB")])
    configure(database, rename("FB", "META", after(10)))
    with closing(sqlite3.connect(database)) as db:
        companies = read_companies(db)
        assert stored_companies(db, companies) == ["META"]
        with pytest.raises(SymbolNotFound):
            check_companies(db, database, companies, ["FB@2026-12-31"])


def test_an_empty_database_has_no_companies() -> None:
    with closing(sqlite3.connect(empty_database())) as db, pytest.raises(NoData):
        check_companies(db, empty_database(), read_companies(db), [])


def test_an_instant_is_at_the_edge_of_a_span(companies: Companies) -> None:
    last, first = ON - timedelta(milliseconds=1), ON

    assert companies.company_at("META", to_text(first)) == "META"
    assert companies.company_at("META", to_text(last)) != "META"
    assert companies.company_at("FB", to_text(last)) == "META"


def to_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
