"""The progress of a run: why it waits, and until when."""

import io
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from pipeline.cli.commands.collect import time_taken
from pipeline.cli.run_progress import RunProgress
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order
from pipeline.collect.run import collect
from pipeline.collect.summary import Summary
from pipeline.model.outcomes import RunStatus
from pipeline.model.slots import Block
from pipeline.quota.keys import KeyPlan
from pipeline.store.blocks import block_requests, ledger_block
from tests.support.clocks import START, ManualClock
from tests.support.runs import BURST, SYMBOLS, Runs, limits
from tests.support.sandbox import Served


class Watched:
    """A run whose progress is looked at whenever it begins to wait."""

    def __init__(self, database: Path, served: Served, clock: ManualClock) -> None:
        self.runs = Runs(database, served, clock)
        self.bar = Progress(TextColumn("{task.fields[facts]}"), console=Console(file=io.StringIO()))
        self.notes: list[str] = []
        self.progress = RunProgress(self.bar, note=self.notes.append)
        self.facts: list[str] = []
        clock.on_sleep = self._look

    def _look(self) -> None:
        self.progress.update()
        self.facts.append(self.bar.tasks[0].fields["facts"])

    def without_terminal(self) -> None:
        self.progress = RunProgress(None, note=self.notes.append)
        self.runs.clock.on_sleep = self.progress.update

    async def collect(self, count: int, *plan: str) -> Summary:
        keys = (replace(self.runs.source.keys[0], limits=limits(*plan)),)
        return await collect(
            self.runs.database,
            replace(self.runs.source, base_url=self.runs.served.base_url, keys=keys),
            Order(SYMBOLS[:count], None),
            halt=Halt(),
            clock=self.runs.clock.as_clock(),
            on_start=self.progress.started,
        )


@pytest.fixture
def watched(database: Path, served: Served, clock: ManualClock) -> Watched:
    return Watched(database, served, clock)


async def test_a_block_in_force_is_shown_at_once_with_its_reason_and_its_end(watched: Watched) -> None:
    with closing(sqlite3.connect(watched.runs.database)) as db, db:
        block_requests(db, Block(START - timedelta(hours=1), START + timedelta(seconds=70)))

    await watched.collect(2, "1200/minute")

    assert len(watched.notes) == 1
    assert "quota has ended" in watched.notes[0]
    assert "2026-03-14 18:31:10 UTC" in watched.notes[0]
    assert "18:31:10 UTC" in watched.facts[0]
    assert "quota left" not in watched.facts[0]


def block(watched: Watched, window: timedelta) -> None:
    with closing(sqlite3.connect(watched.runs.database)) as db, db:
        block_requests(db, ledger_block("a copy was put back", window, now=START))


async def test_without_a_terminal_a_block_is_explained_in_one_line_and_named_at_the_end(watched: Watched) -> None:
    watched.without_terminal()
    block(watched, timedelta(minutes=1))

    summary = await watched.collect(4, "2/minute")

    assert watched.notes == ["a copy was put back: no requests before 2026-03-14 18:31:06 UTC"]
    plans = [KeyPlan("", limits("2/minute"))]
    assert "plan" in time_taken(summary, plans)
    taken = time_taken(replace(summary, blocks=watched.progress.blocks), plans)
    assert "a copy was put back" in taken
    assert "plan" not in taken


async def test_without_a_terminal_short_pauses_need_no_line(watched: Watched) -> None:
    watched.without_terminal()
    watched.runs.served.api.says(SYMBOLS[0], BURST, times=2)

    await watched.collect(3, "1200/minute")

    assert watched.notes == []
    assert watched.progress.blocks == ()


async def test_a_block_that_no_run_waits_for_is_no_wait(watched: Watched) -> None:
    block(watched, timedelta(days=1))

    summary = await watched.collect(2, "25/day")
    watched.progress.update()

    assert summary.status is RunStatus.QUOTA_EXHAUSTED
    assert watched.notes == []


async def test_throttles_are_explained_once_and_the_end_of_each_pause_is_shown(watched: Watched) -> None:
    watched.runs.served.api.says(SYMBOLS[0], BURST, times=3)
    watched.runs.served.api.says(SYMBOLS[1], BURST)

    await watched.collect(3, "1200/minute")

    assert len(watched.notes) == 1
    assert "throttles" in watched.notes[0]
    assert "18:30:02 UTC" in watched.notes[0]
    assert [facts[-12:] for facts in watched.facts] == [f"18:30:{second} UTC" for second in ("02", "06", "14", "16")]


async def test_the_pace_of_the_plan_needs_no_reason(watched: Watched) -> None:
    await watched.collect(3, "2/minute", "1/second")

    assert watched.notes == []
    assert "quota left" in watched.facts[0]
    assert "before 18:31:0" in watched.facts[-1]
