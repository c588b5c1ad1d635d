"""Migrating from a command: its progress is shown, and a signal stops it between two transactions."""

import asyncio
from pathlib import Path

import pytest

from pipeline.cli.migrating import migrate_in_thread
from pipeline.cli.migration_progress import migration_progress
from pipeline.cli.options import Options
from pipeline.store.migrate import OnProgress, Progress
from pipeline.store.migration_files import Migration

LONG = Migration(Path("0002_long.py"), "")


def at(done: int, *, is_complete: bool = False) -> Progress:
    return Progress(LONG, done, 3_000, is_complete)


async def test_a_migration_whose_command_is_cancelled_stops_after_its_transaction(
    capsys: pytest.CaptureFixture[str],
) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def work(on_progress: OnProgress) -> None:
        while True:
            on_progress(at(1_000))
            loop.call_soon_threadsafe(begun.set)

    task = asyncio.create_task(migrate_in_thread(work, Options()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert "continues" in capsys.readouterr().err


async def test_what_the_work_returns_or_raises_is_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert await migrate_in_thread(lambda _show: 7, Options()) == 7
    with pytest.raises(ZeroDivisionError):
        await migrate_in_thread(lambda _show: 1 / 0, Options())
    assert capsys.readouterr() == ("", "")


def test_one_line_says_what_takes_long_and_nothing_what_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    with migration_progress(Options()) as show:
        show(at(0, is_complete=True))
        assert capsys.readouterr().err == ""
        for done in (1_000, 2_000, 3_000):
            show(at(done))
        show(at(3_000, is_complete=True))

    (line,) = capsys.readouterr().err.splitlines()
    assert "long" in line
    assert "3,000 rows" in line


def test_nothing_is_shown_with_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with migration_progress(Options(quiet=True)) as show:
        show(at(1_000))

    assert capsys.readouterr() == ("", "")
