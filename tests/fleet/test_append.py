import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.fleet.pool import fetch, open_pool
from pipeline.model.outcomes import Outcome
from tests.support.clocks import START
from tests.support.fleet_log import HOUR, answer, append, ended, reserved, rows

LOG = "SELECT seq, kind, symbol, same_as, body FROM fleet.log ORDER BY seq"


async def test_an_answer_that_is_appended_again_is_in_the_log_once(fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:
        one = answer(await reserved(pool, "IBM"), 1, {"Symbol": "IBM", "EPS": "1"})

        first = await append(pool, one)
        again = await append(pool, one)

    assert first == again == [Outcome.STORED]
    assert [row[:3] for row in rows(fleet_url, LOG)] == [(1, "answer", "IBM")]


async def test_a_document_with_the_same_values_in_any_order_is_not_stored_again(fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:
        slots = [await reserved(pool, "IBM") for _ in range(4)]
        documents: list[dict[str, Any]] = [
            {"Symbol": "IBM", "EPS": "1"}, {"EPS": "1", "Symbol": "IBM"}, {"Symbol": "IBM", "EPS": "2"},
            {"Symbol": "IBM", "EPS": "1"},
        ]  # fmt: skip
        ends = [answer(*one) for one in zip(slots, range(4), documents, strict=True)]

        outcomes = [outcome for run, one in enumerate(ends) for outcome in await append(pool, one._replace(run=run))]

    assert outcomes == [Outcome.STORED, Outcome.UNCHANGED, Outcome.STORED, Outcome.STORED]
    assert [row[3:] for row in rows(fleet_url, LOG)] == [
        (None, '{"Symbol":"IBM","EPS":"1"}'), (1, None), (None, '{"Symbol":"IBM","EPS":"2"}'),
        (None, '{"Symbol":"IBM","EPS":"1"}'),
    ]  # fmt: skip


async def test_what_a_clock_that_was_ahead_has_seen_of_a_symbol_hides_nothing(fleet_url: str) -> None:
    ahead = datetime.now(UTC) + timedelta(days=400)
    async with open_pool(fleet_url) as pool:
        await fetch(
            pool, "INSERT INTO fleet.symbols (symbol, last_look, last_overview) VALUES ('IBM', %s, %s)", ahead, ahead
        )
        await fetch(
            pool,
            "WITH run AS (INSERT INTO fleet.runs (trigger, status, member, observed_since)"
            " VALUES ('schedule', 'running', 'alpha', now()) RETURNING id)"
            " INSERT INTO fleet.batches (run_id, number, symbols) SELECT id, 0, '{IBM}' FROM run",
        )
        assert await fetch(pool, "SELECT symbol FROM fleet.left_of(1, 0)") == [("IBM",)]

        await append(pool, answer(await reserved(pool, "IBM"), 1, {"Symbol": "IBM"}, run=1))

        ((at, seq),) = await fetch(pool, "SELECT last_overview, seq FROM fleet.symbols")
    assert (at, seq) == (START + HOUR, 1)


async def test_an_answer_is_observed_after_its_reservation_and_before_now(fleet_url: str) -> None:
    before = datetime.now(UTC)
    async with open_pool(fleet_url) as pool:
        early = answer(await reserved(pool, "IBM", at=START + HOUR), 0, {"Symbol": "IBM"})
        late = answer(await reserved(pool, "PEP"), 0, {"Symbol": "PEP"}, symbol="PEP")._replace(
            at=before + timedelta(days=400)
        )
        await append(pool, early, late)

    (at_reservation,), (at_most_now,) = rows(fleet_url, "SELECT at FROM fleet.log ORDER BY seq")
    assert at_reservation == START + HOUR
    assert before - timedelta(minutes=1) < at_most_now <= datetime.now(UTC) + timedelta(minutes=1)


async def test_the_log_has_no_gap_however_many_append_at_once(fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:

        async def member(number: int) -> None:
            for turn in range(5):
                names = [f"S{number}{turn}{place}" for place in range(3)]
                ends = [answer(await reserved(pool, name), 1, {"Symbol": name}, symbol=name) for name in names]
                await append(pool, *ends)

        await asyncio.gather(*(member(number) for number in range(4)))

    assert [row[0] for row in rows(fleet_url, LOG)] == list(range(1, 61))
    assert rows(fleet_url, "SELECT seq FROM fleet.log_head") == [(60,)]


async def test_a_symbol_that_was_deferred_and_requested_after_all_has_the_later_outcome(fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:
        await append(pool, ended(Outcome.DEFERRED, 1, attempts=0))
        await append(pool, ended(Outcome.FAILED, 2))
        await append(pool, ended(Outcome.DEFERRED, 3, attempts=0), ended(Outcome.REJECTED, 3))

    assert rows(fleet_url, "SELECT outcome, at FROM fleet.outcomes") == [("failed", START + 2 * HOUR)]
    assert [row[1] for row in rows(fleet_url, LOG)] == ["outcome", "outcome"]


async def test_the_first_entry_of_a_new_timeline_is_noted(fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:
        await append(pool, ended(Outcome.FAILED, 1))
        async with pool.connection() as db:
            await db.execute("UPDATE fleet.log_head SET timeline = 7; UPDATE fleet.timelines SET timeline = 7")
        await append(pool, ended(Outcome.FAILED, 1, symbol="PEP"), ended(Outcome.FAILED, 1, symbol="AAPL"))

    assert rows(fleet_url, "SELECT timeline, first_seq FROM fleet.timelines ORDER BY began_at") == [(7, 1), (1, 2)]
