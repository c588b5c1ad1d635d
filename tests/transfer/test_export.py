"""Export: every column and every document as stored, of one state and of the selection alone."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.model.document import Document
from pipeline.model.symbols import Symbol
from pipeline.store.database import DatabaseError
from pipeline.transfer.export import NAMES, Selection, originals, overview_rows, snapshot_count
from tests.support.clocks import START
from tests.support.exports import IBM, PEP, at, exported, observed, open_state, store_all, view


async def test_rows_are_those_of_the_view_column_by_column(kept: Path) -> None:
    assert [list(row) for row in view(kept)] == [list(NAMES)] * 3
    assert exported(kept) == view(kept)


async def test_every_column_of_the_full_document_has_a_value_and_none_of_the_empty_one(kept: Path) -> None:
    full, empty, _ = exported(kept)
    assert [name for name, value in full.items() if value is None] == []
    assert [name for name in empty if empty[name] is not None] == ["symbol", "observed_at", "confirmed_at"]


@pytest.mark.parametrize(
    ("selection", "days"),
    [
        (Selection(since=at("2026-01-02T12:00")), [("IBM", 2), ("IBM", 3), ("PEP", 2)]),
        (Selection(since=at("2026-01-02T12:00:00.001")), [("IBM", 3)]),
        (Selection(until=at("2026-01-01T12:00")), [("IBM", 1), ("PEP", 1)]),
        (Selection(until=at("2026-01-01T11:59:59.999")), []),
        (Selection((IBM,), at("2026-01-02"), at("2026-01-03")), [("IBM", 2)]),
        (Selection((PEP, Symbol("NONE"))), [("PEP", 1), ("PEP", 2)]),
    ],
)
async def test_a_selection_includes_both_ends_of_its_interval(
    database: Path, selection: Selection, days: Sequence[tuple[str, int]]
) -> None:
    await store_all(database, *(observed(IBM, f"2026-01-0{day}T12:00", EPS=str(day)) for day in (1, 2, 3)))
    await store_all(database, *(observed(PEP, f"2026-01-0{day}T12:00", EPS=str(day)) for day in (1, 2)))

    assert [(row["symbol"], int(row["eps"])) for row in exported(database, selection)] == days


async def test_the_count_is_the_number_of_rows_where_it_is_known(kept: Path) -> None:
    with open_state(kept) as db:
        assert snapshot_count(db, Selection()) == 3
        assert snapshot_count(db, Selection((IBM,))) == 2
        assert snapshot_count(db, Selection(until=START)) is None


async def test_an_export_reads_one_state_while_a_run_writes(kept: Path) -> None:
    with open_state(kept) as db:
        read = overview_rows(db, Selection())
        first = next(read)
        await store_all(kept, observed(PEP, "2026-03-01", EPS="7"))
        assert len([first, *read]) == 3
        assert snapshot_count(db, Selection()) == 3
    assert len(exported(kept)) == 4


async def test_an_error_after_which_sqlite_rolls_back_is_raised_as_it_is(kept: Path) -> None:
    def copy() -> None:
        with open_state(kept) as db:
            db.create_function("stop", 0, db.interrupt)
            db.execute("CREATE TEMP TABLE copied AS SELECT stop() FROM snapshots")

    with pytest.raises(DatabaseError, match="interrupted"):
        copy()


async def test_originals_are_the_documents_received_with_their_later_observations(database: Path) -> None:
    odd: Document = {"EPS": "1.50", "Symbol": "IBM", "New": {"b": [1, 1.0, True, None], "a": "é"}, "Beta": 10**30}
    await store_all(
        database,
        (IBM, at("2026-01-02"), {}),
        (IBM, at("2026-01-03"), odd),
        (IBM, at("2026-01-04"), odd),
        (IBM, at("2026-01-05T06:07:08.009"), odd),
        observed(IBM, "2026-01-06"),
        observed(IBM, "2026-01-07"),
        observed(PEP, "2026-01-01"),
    )
    with open_state(database) as db:
        lines = list(originals(db, Selection()))
    assert [json.dumps(line) for line in lines] == [
        json.dumps(line)
        for line in (
            {"symbol": "IBM", "observed_at": "2026-01-02T00:00:00.000Z", "document": {}},
            {
                "symbol": "IBM",
                "observed_at": "2026-01-03T00:00:00.000Z",
                "document": odd,
                "looks": ["2026-01-04T00:00:00.000Z", "2026-01-05T06:07:08.009Z"],
            },
            {
                "symbol": "IBM",
                "observed_at": "2026-01-06T00:00:00.000Z",
                "document": {"Symbol": "IBM", "Name": "x", "EPS": "1"},
                "looks": ["2026-01-07T00:00:00.000Z"],
            },
            {
                "symbol": "PEP",
                "observed_at": "2026-01-01T00:00:00.000Z",
                "document": {"Symbol": "PEP", "Name": "x", "EPS": "1"},
            },
        )
    ]


async def test_originals_are_those_of_the_selection(database: Path) -> None:
    await store_all(database, (IBM, at("2026-01-01"), {}), (PEP, at("2026-01-02"), {}), observed(PEP, "2026-01-03"))
    with open_state(database) as db:
        interval = Selection(since=at("2026-01-02"), until=at("2026-01-02"))
        assert [line["symbol"] for line in originals(db, interval)] == ["PEP"]
        assert [line["symbol"] for line in originals(db, Selection((IBM,)))] == ["IBM"]
