"""`pipeline run`: when it refuses to start. (The daemon that runs: test_daemon_process.py and tests/daemon.)"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.store.lock import hold_daemon_lock
from tests.support.clocks import START
from tests.support.commands import KEY, assert_refused, call
from tests.support.silent import SilentServer


def test_a_second_daemon_ends_with_6_and_names_the_first(folder: Path, silent: SilentServer) -> None:
    database = folder / "overviews.db"
    with hold_daemon_lock(database, now=START):
        ended = call(
            folder,
            *("run", "--database", str(database)),
            ALPHAVANTAGE_API_KEY=KEY,
            PIPELINE_SOURCE__BASE_URL=silent.url,
        )

    assert_refused(ended, ExitCode.BUSY, str(os.getpid()))
    silent.assert_nothing_received()


@pytest.mark.parametrize(("text", "key"), [('[symbols]\nlist = ["AAPL"]\n', ""), ("", KEY)])
def test_without_a_key_or_symbols_it_ends_with_3(
    folder: Path, configure: Callable[[str], object], text: str, key: str
) -> None:
    configure(text)

    ended = call(folder, "run", ALPHAVANTAGE_API_KEY=key)

    assert_refused(ended, ExitCode.REFUSED, "symbols" if key else "ALPHAVANTAGE_API_KEY")
    assert not (folder / "data").exists()


def test_without_a_key_the_command_that_needs_none_is_named(folder: Path) -> None:
    assert_refused(call(folder, "run"), ExitCode.REFUSED, "pipeline run --sandbox")
    assert_refused(call(folder, "run", ALPHAVANTAGE_API_KEY=""), ExitCode.REFUSED, "pipeline run --sandbox")


def test_a_damaged_database_ends_with_1_and_one_line(folder: Path) -> None:
    (folder / "overviews.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)

    ended = call(folder, "run", "--database", "overviews.db", ALPHAVANTAGE_API_KEY=KEY)

    assert_refused(ended, ExitCode.FAILED, "overviews.db")
