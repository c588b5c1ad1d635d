"""What members do together, each with its loop, its file and its worker, over one PostgreSQL."""

import asyncio
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pipeline.clock import REAL_CLOCK
from pipeline.daemon.agreeing import join_with
from pipeline.fleet.agreement import Agreement, Disagreement
from pipeline.fleet.connection import NoFleet, connected
from pipeline.fleet.follow import Unfollowable
from pipeline.fleet.install import install
from pipeline.fleet.joining import join
from pipeline.fleet.members import Membership, NameTaken
from pipeline.fleet.pool import Pool, fetch, open_pool
from pipeline.fleet.setup import set_up
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.monitoring import heartbeat
from pipeline.schedule.cron import Schedule
from tests.support.daemons import runs
from tests.support.disk import no_file_larger_than
from tests.support.fleet_members import PATIENCE, Machine, config, machine, quick, until
from tests.support.fleet_work import DAILY, SYMBOLS, ended, fired, source
from tests.support.postgres import Databases, running_server
from tests.support.sandbox import Served

NEVER = Schedule("0 0 29 2 *", "UTC", timedelta(hours=1), None)
MANY = tuple(Symbol(f"S{number:03}") for number in range(120))


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


async def has_followed(one: Machine, *expected: tuple[object, ...]) -> None:
    """Return once the machine's file has these runs: status, and how many symbols were stored or are not covered."""

    async def is_so() -> bool:
        return one.is_following and runs(one.database, "status", "stored + unknown") == list(expected)

    await until(is_so, one)


async def shows_last_run(one: Machine, expected: tuple[int, str]) -> None:
    """Return once the machine's heartbeat has this run as the last one."""

    async def is_so() -> bool:
        beat = heartbeat.read(one.database)
        return beat is not None and (beat.last_run, beat.last_status) == expected

    await until(is_so, one)


async def test_two_members_run_the_newest_fire_time_once_and_both_have_what_came_of_it(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    wanted = config(source(served.base_url), symbols=MANY)

    async with (
        machine(tmp_path, fleet_url, "alpha", wanted) as alpha,
        machine(tmp_path, fleet_url, "beta", wanted) as beta,
    ):
        for one in (alpha, beta):
            await has_followed(one, ("complete", len(MANY)))
            await shows_last_run(one, (1, "complete"))

    assert served.api.requests == len(MANY)
    assert await fetch(pool, "SELECT name FROM fleet.members WHERE left_at IS NOT NULL ORDER BY name") == [
        ("alpha",),
        ("beta",),
    ]


async def test_that_lists_differ_is_logged_once_however_often_a_member_joins(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    wanted, membership = config(source(served.base_url), schedules=(NEVER,)), Membership(pool, REAL_CLOCK)
    async with machine(tmp_path, fleet_url, "alpha", replace(wanted, listed=SymbolList("", MANY))) as alpha:

        async def has_joined() -> bool:
            return bool(await fetch(pool, "SELECT 1 FROM fleet.members"))

        await until(has_joined, alpha)
        with capture_logs() as lines:
            for _ in range(2):
                await join_with(pool, membership, "beta", wanted)

    differing = [line for line in lines if "lists of symbols differ" in line["event"]]
    assert [line["members"] for line in differing if line["members"] == ["alpha"]] == [["alpha"]]


async def test_a_batch_of_a_member_that_was_killed_is_finished_by_another(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    """The dead one had a slot out, its job was begun, and its own run was under way."""
    wanted = config(source(served.base_url))
    async with machine(tmp_path, fleet_url, "alpha", replace(wanted, schedules=(NEVER,))):
        pass
    await fetch(pool, "DELETE FROM fleet.schedules")
    async with machine(tmp_path, fleet_url, "alpha", replace(wanted, symbols=())) as alpha:
        await has_followed(alpha, ("complete", 0))
    await fetch(pool, "UPDATE fleet.runs SET status = 'running', due = 3, finished_at = NULL")
    await fetch(pool, "INSERT INTO fleet.batches SELECT id, 0, %b::text[] FROM fleet.runs", list(SYMBOLS))
    await fetch(
        pool,
        "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 h') RETURNING id)"
        " INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id)"
        " SELECT 'collect', 'collect_batch', jsonb_build_object('run', r.id, 'number', 0), 'doing', dead.id"
        " FROM fleet.runs r, dead",
    )
    await fetch(
        pool,
        "INSERT INTO fleet.runs (trigger, status, started_at, member, instance)"
        " VALUES ('on_demand', 'running', now(), 'dead', gen_random_uuid())",
    )

    async with machine(tmp_path, fleet_url, "beta", wanted) as beta:

        async def is_over() -> bool:
            return len(await ended(pool)) == 2

        await until(is_over, beta)

    assert [one[:2] for one in await ended(pool)] == [("complete", 3), ("interrupted", 0)]
    assert await fetch(pool, "SELECT detail FROM fleet.runs ORDER BY id DESC LIMIT 1") != [(None,)]


async def test_a_crash_fails_the_run_and_not_the_member(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    faults = iter([True])

    def requested(_outcome: str, _seconds: float) -> None:
        if next(faults, False):
            raise RuntimeError("a fault")

    async with machine(tmp_path, fleet_url, "alpha", config(source(served.base_url))) as alpha:
        alpha.reporter.request_ended = requested  # type: ignore[assignment, method-assign] # stands for any bug deep inside a run

        async def is_over() -> bool:
            return bool(await ended(pool))

        await until(is_over, alpha)
        ((status, detail),) = await fetch(pool, "SELECT status, detail FROM fleet.runs")
        assert status == "failed"
        assert re.match(r"crashed: RuntimeError in test_member\.py:\d+", detail)
        assert alpha.member.why_not_ready() is None


async def test_fire_times_that_no_member_was_there_for_are_missed_and_the_newest_is_caught_up(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    hourly = Schedule("0 * * * *", "UTC", timedelta(hours=2), None)
    await fetch(
        pool,
        "INSERT INTO fleet.schedules VALUES (%s, date_trunc('hour', now(), 'UTC') - interval '150 min')",
        str(hourly),
    )

    async with machine(tmp_path, fleet_url, "alpha", config(source(served.base_url), schedules=(hourly,))) as alpha:
        await has_followed(alpha, ("missed", 0), ("missed", 0), ("complete", 3))

    ((trigger, detail),) = await fetch(
        pool, "SELECT trigger, (SELECT min(detail) FROM fleet.runs) FROM fleet.runs WHERE status = 'complete'"
    )
    assert trigger in ("catch_up", "schedule")
    assert "not running" in detail


async def test_a_run_that_the_quota_ended_is_continued_once_a_slot_is_free(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    async with machine(tmp_path, fleet_url, "alpha", config(source(served.base_url, "2/day"))) as alpha:
        await has_followed(alpha, ("quota_exhausted", 2))
        await fetch(pool, "UPDATE fleet.slots SET finished_at = finished_at - interval '25 hours'")
        await fetch(pool, "UPDATE fleet.runs SET finished_at = finished_at - interval '2 minutes'")
        await has_followed(alpha, ("quota_exhausted", 2), ("complete", 1))


async def test_a_member_that_is_configured_otherwise_ends_and_says_in_what(
    tmp_path: Path, fleet_url: str, served: Served
) -> None:
    async with machine(tmp_path, fleet_url, "alpha", config(source(served.base_url))) as alpha:
        await has_followed(alpha, ("complete", 3))
        with pytest.raises(Disagreement, match="5/second"):
            async with machine(tmp_path, fleet_url, "beta", config(source(served.base_url, "5/second"))) as beta:
                await asyncio.wait({beta.task})


async def test_a_member_that_seemed_dead_while_the_others_agreed_about_something_else_ends(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    wanted = config(source(served.base_url))
    async with machine(tmp_path, fleet_url, "alpha", wanted, error=Disagreement) as alpha:
        await has_followed(alpha, ("complete", 3))
        await join(pool, Membership(pool, REAL_CLOCK), "beta", keys=(), schedules=wanted.schedules, symbols=())
        other = Agreement.of((), (NEVER,)).to_text()
        await fetch(pool, "UPDATE fleet.agreed SET settings = %s, at = clock_timestamp()", other)
        await asyncio.wait({alpha.task})


async def test_a_reload_that_the_others_do_not_agree_with_is_refused_and_one_that_they_do_is_put_in_force(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    wanted = config(source(served.base_url))
    async with (
        machine(tmp_path, fleet_url, "alpha", wanted) as alpha,
        machine(tmp_path, fleet_url, "beta", wanted) as beta,
    ):
        await has_followed(alpha, ("complete", 3))
        await has_followed(beta, ("complete", 3))
        alpha.config = replace(config(source(served.base_url), symbols=SYMBOLS[:1]), schedules=(NEVER,))
        alpha.member.reload()

        async def is_refused() -> bool:
            return alpha.member.status.refused is not None

        await until(is_refused, alpha)
        assert alpha.reporter.scope == wanted.scope
        assert str(NEVER) in (alpha.member.status.refused or "")
        alpha.config = config(source(served.base_url), symbols=(*SYMBOLS, Symbol("MSFT")))
        alpha.member.reload()

        async def is_in_force() -> bool:
            rows = await fetch(pool, "SELECT symbols FROM fleet.members WHERE name = 'alpha'")
            return alpha.member.status.refused is None and rows == [(4,)]

        await until(is_in_force, alpha)
        assert alpha.reporter.scope == alpha.config.scope


async def test_what_init_makes_agreed_is_put_in_force_by_all_that_are_configured_so_and_the_others_leave(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    """Nobody tells them: they read their configuration again. Nobody brings the limits from before back."""
    wanted = replace(config(source(served.base_url, "9/day")), schedules=(NEVER,))
    async with (
        machine(tmp_path, fleet_url, "alpha", wanted) as alpha,
        machine(tmp_path, fleet_url, "beta", wanted, error=Disagreement) as beta,
    ):
        for one in (alpha, beta):
            await until(partial(_is_ready, one), one)
        new = config(source(served.base_url, "3/day"), schedules=(DAILY,), symbols=(*SYMBOLS, Symbol("MSFT")))
        alpha.config = new

        def init() -> None:
            with connected(fleet_url) as db:
                set_up(db, new.source.keys, new.plans, new.schedules, member="gamma")

        await asyncio.to_thread(init)
        await asyncio.wait({beta.task}, timeout=PATIENCE)

        async def is_in_force() -> bool:
            return await fetch(pool, "SELECT symbols FROM fleet.members WHERE name = 'alpha'") == [(4,)]

        async def has_schedule() -> bool:
            return await fetch(pool, "SELECT schedule FROM fleet.schedules") == [(str(DAILY),)]

        await until(is_in_force, alpha)
        await until(has_schedule, alpha)
        await fired(pool, MANY[:5], schedule=DAILY)
        await has_followed(alpha, ("quota_exhausted", 3))
        assert alpha.reporter.scope == new.scope

    assert "the limits of the key without a name are 9/day here, the fleet has 3/day" in str(beta.task.exception())
    with pytest.raises(Disagreement):  # whoever restarts it, although nobody else lives
        async with machine(tmp_path, fleet_url, "beta", wanted) as again:
            await asyncio.wait({again.task}, timeout=PATIENCE)
    assert await fetch(pool, "SELECT count FROM fleet.limits WHERE NOT is_for_retries") == [(3,)]
    assert served.api.requests == 3


async def test_the_only_member_changes_what_is_agreed_by_init_and_not_by_a_reload(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    wanted = config(source(served.base_url))
    async with machine(tmp_path, fleet_url, "alpha", wanted) as alpha:
        await has_followed(alpha, ("complete", 3))
        alpha.config = replace(wanted, schedules=(NEVER,))
        alpha.member.reload()

        async def is_refused() -> bool:
            return alpha.member.status.refused is not None

        await until(is_refused, alpha)

        def init() -> None:
            with connected(fleet_url) as db:
                set_up(db, wanted.source.keys, wanted.plans, (NEVER,), member="alpha")

        await asyncio.to_thread(init)

        async def is_in_force() -> bool:
            return await fetch(pool, "SELECT schedule FROM fleet.schedules") == [(str(NEVER),)]

        await until(is_in_force, alpha)
        assert alpha.member.status.refused is None


async def _is_ready(one: Machine) -> bool:
    return one.member.why_not_ready() is None


async def test_a_file_that_collects_for_itself_is_refused(
    tmp_path: Path, fleet_url: str, served: Served, answerable: Path
) -> None:
    (tmp_path / "alpha").mkdir()
    shutil.copy(answerable, tmp_path / "alpha" / "overviews.db")

    with pytest.raises(Unfollowable):
        async with machine(tmp_path, fleet_url, "alpha", config(source(served.base_url))) as alpha:
            await asyncio.wait({alpha.task})


@pytest.mark.slow
async def test_a_member_whose_disk_is_full_goes_on_collecting_and_its_file_follows_later(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    wanted = config(source(served.base_url), schedules=(NEVER,), symbols=MANY)
    async with machine(tmp_path, fleet_url, "alpha", wanted) as alpha:

        async def is_ready() -> bool:
            return alpha.member.why_not_ready() is None

        async def is_over() -> bool:
            return bool(await ended(pool))

        async def is_troubled() -> bool:
            return await fetch(pool, "SELECT 1 FROM fleet.members WHERE trouble LIKE '%%disk%%'") != []

        await until(is_ready, alpha)
        with no_file_larger_than(64 * 1024):
            await fired(pool, MANY, schedule=NEVER)
            await until(is_over, alpha)
            await until(is_troubled, alpha)
        await has_followed(alpha, ("complete", len(MANY)))


async def test_a_client_gets_a_symbol_that_is_requested_on_demand_once_the_file_has_it(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    wanted = config(source(served.base_url), schedules=(NEVER,))
    async with machine(tmp_path, fleet_url, "alpha", wanted) as alpha:

        async def is_ready() -> bool:
            return alpha.member.why_not_ready() is None

        await until(is_ready, alpha)

        assert await alpha.member.on_demand.collect(Symbol("MSFT")) is None

        assert runs(alpha.database, "trigger", "status", "stored") == [("on_demand", "complete", 1)]
        assert await alpha.member.on_demand.collect(Symbol("MSFT")) is None
    assert served.api.requests == 1


@pytest.mark.process
@pytest.mark.slow  # it starts PostgreSQL again; CI runs it with the chaos
async def test_members_go_on_after_a_crash_of_postgresql_and_say_meanwhile_why_they_cannot(
    tmp_path: Path, fleet_url: str, postgres: Databases, served: Served
) -> None:
    wanted = config(source(served.base_url), schedules=(NEVER,))
    async with machine(tmp_path, fleet_url, "alpha", wanted) as alpha:

        async def is_ready() -> bool:
            return alpha.member.why_not_ready() is None

        await until(is_ready, alpha)
        with connected(fleet_url) as db:
            db.execute("CHECKPOINT")  # this server writes later what is committed
        postgres.server.crash()

        async def is_blocked() -> bool:
            return "cannot be reached" in (alpha.member.why_not_ready() or "")

        await until(is_blocked, alpha)
        postgres.server.start()
        await until(is_ready, alpha)
        async with open_pool(fleet_url) as pool:
            await fired(pool, MANY[:3], schedule=NEVER)
            await fetch(pool, "DELETE FROM procrastinate_jobs")  # a batch without a job gets one

            async def is_over() -> bool:
                return bool(await ended(pool))

            await until(is_over, alpha)
            assert [one[0] for one in await ended(pool)] == ["complete"]


@pytest.mark.process
@pytest.mark.slow
async def test_members_go_on_after_postgresql_hung(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.fleet.pool.PATIENCE", timedelta(seconds=1))
    with running_server() as server:
        with connected(server.url()) as db:
            install(db)
        wanted = config(source(served.base_url), schedules=(NEVER,))
        async with machine(tmp_path, server.url(), "alpha", wanted) as alpha:

            async def is_ready() -> bool:
                return alpha.member.why_not_ready() is None

            await until(is_ready, alpha)
            server.freeze()

            async def is_blocked() -> bool:
                return alpha.member.why_not_ready() is not None

            await until(is_blocked, alpha)
            server.thaw()
            await until(is_ready, alpha)
            async with open_pool(server.url()) as pool:
                await fired(pool, MANY[:3], schedule=NEVER)

                async def is_over() -> bool:
                    return bool(await ended(pool))

                await until(is_over, alpha)


@pytest.mark.process
async def test_a_member_that_starts_while_postgresql_is_out_of_reach_waits_for_it(
    tmp_path: Path, fleet_url: str, postgres: Databases, served: Served
) -> None:
    postgres.server.stop()
    async with machine(tmp_path, fleet_url, "alpha", config(source(served.base_url))) as alpha:

        async def is_blocked() -> bool:
            return "cannot be reached" in (alpha.member.why_not_ready() or "")

        await until(is_blocked, alpha)
        postgres.server.start()
        await has_followed(alpha, ("complete", 3))


async def test_a_database_without_a_fleet_ends_a_member_and_says_what_to_do(
    tmp_path: Path, postgres: Databases, served: Served
) -> None:
    with postgres.empty() as url, pytest.raises(NoFleet, match="pipeline fleet init"):
        async with machine(tmp_path, url, "alpha", config(source(served.base_url))) as alpha:
            await asyncio.wait({alpha.task})


async def test_a_member_whose_name_another_process_takes_over_ends(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served
) -> None:
    async with machine(tmp_path, fleet_url, "alpha", config(source(served.base_url)), error=NameTaken) as alpha:
        await has_followed(alpha, ("complete", 3))
        await fetch(pool, "UPDATE fleet.members SET instance = gen_random_uuid()")
        while not alpha.task.done():  # the other one lives
            await fetch(pool, "UPDATE fleet.members SET beat_at = clock_timestamp()")
            await asyncio.wait({alpha.task}, timeout=0.05)
