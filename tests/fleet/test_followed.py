"""What entries of a log leave in a record: the same, whatever the chunks, and whatever is read again."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fleet.entries import Row, list_text
from pipeline.fleet.follow import chunk_of
from pipeline.model.symbols import Symbol
from pipeline.store.log_entries import apply_chunks
from pipeline.store.log_place import Followed
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.fleet_log import content
from tests.support.observations import database_of

HOUR = timedelta(hours=1)


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Return the rows of a log: entries about a few symbols in a few runs."""
    rows: list[Row] = []
    hours = st.integers(0, 40)
    for seq in range(1, draw(st.integers(1, 14)) + 1):
        at, run = START + draw(hours) * HOUR, draw(st.integers(1, 3))
        symbol, kind = draw(st.sampled_from("AB")), draw(st.sampled_from(_KINDS))
        body, is_new = _body(draw, kind), draw(st.booleans())
        if kind == "run":
            at = START + seq * HOUR
        if kind == "symbols":
            at = START + seq * HOUR  # lists are logged in order
        rows.append((seq, kind, at, symbol, run, draw(st.integers(0, 2)), is_new, body))
    return rows


_KINDS = ("answer", "answer", "answer", "uncovered", "uncovered", "outcome", "run", "schedules", "symbols")


def _body(draw: st.DrawFn, kind: str) -> str | None:
    match kind:
        case "answer":
            return f'{{"Symbol":"A","EPS":"{draw(st.integers(1, 2))}"}}'
        case "outcome":
            outcome = draw(st.sampled_from(["failed", "rejected", "deferred"]))
            return f'{{"outcome":"{outcome}","detail":null}}'
        case "run":
            status = draw(st.sampled_from(["running", "complete", "failed"]))
            return _run(status, started_at=f"2026-03-{draw(st.integers(10, 20))}T00:00:00.000Z")
        case "schedules":
            return draw(st.sampled_from(["{}", '{"0 18 * * * UTC":"2026-03-14T00:00:00.000Z"}']))
        case "symbols":
            return list_text(draw(st.lists(st.sampled_from([Symbol("A"), Symbol("B"), Symbol("C")]))))
    return None


def _run(status: str, *, started_at: str) -> str:
    return (
        f'{{"trigger":"manual","status":"{status}","schedule":null,"scheduled_for":null,"started_at":"{started_at}",'
        '"finished_at":null,"symbols":1,"due":1,"stored":0,"unchanged":0,"unknown":0,"failed":0,"rejected":0,'
        '"deferred":0,"requests":0,"seconds":null,"detail":null,"uncovered":0}'
    )


def applied(log: Sequence[Row], pieces: Sequence[tuple[int, int]]) -> dict[str, list[Any]]:
    """Return the content of a new record to which pieces of a log were written, in turn."""
    database = database_of()

    async def write() -> None:
        async with open_writer(database) as writer:
            for start, end in pieces:
                if piece := log[start:end]:
                    await writer.write(apply_chunks, chunk_of(piece, Followed("f", 1, start)))

    asyncio.run(write())
    return content(database)


@settings(max_examples=6)
@given(logs(), st.data())
def test_chunks_do_not_matter_nor_what_is_read_again(log: list[Row], data: st.DataObject) -> None:
    end, pieces = 0, []
    while end < len(log):
        start = data.draw(st.integers(0, end))
        end = data.draw(st.integers(end + (start == end), len(log)))
        pieces.append((start, end))

    assert applied(log, pieces) == applied(log, [(0, len(log))])


def test_the_first_outcome_of_a_symbol_in_a_run_stays_but_for_a_deferred_one() -> None:
    late = '{"Symbol":"A","EPS":"1"}'
    log: list[Row] = [
        (1, "outcome", START, "A", 1, 1, True, '{"outcome":"failed","detail":null}'),
        (2, "answer", START + HOUR, "A", 1, 1, True, late),
        (3, "outcome", START, "B", 1, 0, True, '{"outcome":"deferred","detail":null}'),
        (4, "uncovered", START + HOUR, "B", 1, 1, True, None),
    ]

    outcomes = applied(log, [(0, 4)])["outcomes"]

    assert [row[:3] for row in outcomes] == [(1, "A", "failed"), (1, "B", "unknown")]


def test_what_is_observed_days_after_a_run_began_is_believed() -> None:
    log: list[Row] = [
        (1, "run", START, None, 1, None, True, _run("running", started_at="2026-03-14T00:00:00.000Z")),
        (2, "answer", START + 100 * HOUR, "A", 1, 1, True, '{"Symbol":"A"}'),
        (3, "uncovered", START + 200 * HOUR, "A", 1, 1, True, None),
    ]

    ((symbol, state, *_),) = applied(log, [(0, 2), (2, 3)])["symbols"]

    assert (symbol, state) == ("A", "unknown")
