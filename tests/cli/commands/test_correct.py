"""`pipeline correct`: what a wrong clock dated, moved or removed."""

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.cli.output import to_second
from pipeline.errors import ExitCode
from pipeline.instants import text_for_people
from pipeline.store.lock import daemon_lock_path, lock_path
from tests.support.commands import Ended, assert_refused, call
from tests.support.observations import text

DAY = ("--since", "2026-03-15T20:30Z", "--until", "2026-03-15T20:31Z")
"""When PEP was observed, and nothing else."""


def at(live: Path, *arguments: str) -> Ended:
    """Call the command on the database."""
    return call(live.parent, "correct", "--database", str(live), *arguments)


def snapshots(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT symbol, observed_at FROM snapshots ORDER BY 1, 2").fetchall()


def backups(path: Path) -> int:
    """Return how many backups the database notes."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM backups").fetchone()[0])


def test_it_shows_what_it_would_do_and_changes_nothing(live: Path) -> None:
    before = snapshots(live)

    ended = at(live, *DAY, "--shift", "-25h")

    assert ended.code == ExitCode.DONE
    assert "PEP" in ended.out
    assert str(to_second(text(1))) in ended.out, "where it would be moved to"
    assert "1 observation of 1 symbol" in ended.out
    assert "--yes" in ended.err
    assert snapshots(live) == before
    assert [*live.parent.glob("*.db")] == [live]


def test_it_says_where_nothing_of_the_record_would_be_left(live: Path) -> None:
    every = "this is every observation of the record"
    year = ("--since", "2026-01-01", "--until", "2026-12-31", "--remove")

    assert every in at(live, *year).out
    assert every not in at(live, *year, "--symbol", "PEP").out
    assert every not in at(live, *DAY, "--remove").out
    assert every not in at(live, "--since", "1999-01-01", "--until", "1999-12-31", "--remove").out


def test_with_yes_it_moves_it_after_a_copy_beside_the_database(live: Path) -> None:
    before = snapshots(live)

    ended = at(live, *DAY, "--shift", "-25h", "--yes")

    assert ended.code == ExitCode.DONE
    assert snapshots(live) == [*before[:-1], ("PEP", text(1))]
    (copy,) = live.parent.glob("overviews-before-correct-*.db")
    assert str(copy) in ended.out
    assert snapshots(copy) == before
    assert backups(live) == 0, "it is no backup, and must not hold back the alert that the last one is old"


def test_its_json_has_what_was_done(live: Path) -> None:
    done = at(live, *DAY, "--remove", "--yes", "--no-backup", "--json").json

    assert done == {
        "since": "2026-03-15T20:30:00.000Z", "until": "2026-03-15T20:31:00.000Z", "shift_seconds": None, "done": True,
        "symbols": [
            {
                "symbol": "PEP", "snapshots": 1, "confirmations": 0, "uncovered": 0,
                "first": text(26), "last": text(26), "first_moved": None, "last_moved": None,
            }
        ],
        "runs": 0, "outcomes": 0, "backup": None,
    }  # fmt: skip
    assert {symbol for symbol, _ in snapshots(live)} == {"IBM"}
    assert at(live, *DAY, "--shift", "1h", "--json").json["done"] is False


def test_what_is_not_dated_so_is_said(live: Path) -> None:
    ended = at(live, "--since", "2026-01-01", "--until", "2026-01-02", "--remove", "--yes")

    assert (ended.code, ended.out) == (ExitCode.DONE, "nothing to correct: no observation or run is dated so\n")
    assert [*live.parent.glob("*.db")] == [live], "no copy is made"


def test_two_observations_at_one_instant_are_refused(live: Path) -> None:
    arguments = ("--since", text(1), "--until", text(1), "--shift", "1h", "--symbol", "ibm")

    for more in ((), ("--yes",)):
        assert_refused(
            at(live, *arguments, *more), ExitCode.USAGE, f"IBM has an observation at {text_for_people(text(2))} already"
        )


@pytest.mark.parametrize(("limit", "word"), [(("--symbol", "IBN"), "IBM"), (("--run", "7"), "no run 7")])
def test_a_symbol_or_run_that_there_is_not_is_said(live: Path, limit: tuple[str, str], word: str) -> None:
    assert_refused(at(live, *DAY, "--remove", "--yes", *limit), ExitCode.FAILED, word)


def test_a_run_whose_outcomes_were_deleted_cannot_be_selected_by(live: Path) -> None:
    """Its observations would stay where they are, while it is moved."""
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.execute(
            "INSERT INTO runs (trigger, status, started_at, stored) VALUES ('manual', 'complete', ?, 1)", [text(26)]
        )

    assert_refused(at(live, *DAY, "--remove", "--run", "1"), ExitCode.FAILED, "run 1", "leave out --run")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--since", "2026-03-15", "--until", "2026-03-16"),
        (*DAY, "--remove", "--shift", "1h"),
        (*DAY, "--shift", "1y"),
        (*DAY, "--shift", "0s"),
        (*DAY, "--remove", "--symbol", "no such one"),
        ("--since", "2026-03-16", "--until", "2026-03-15", "--remove"),
    ],
)
def test_a_wrong_use_is_refused(live: Path, arguments: tuple[str, ...]) -> None:
    assert at(live, *arguments, "--yes").code == ExitCode.USAGE


@pytest.mark.parametrize("lock", [lock_path, daemon_lock_path])
def test_nothing_else_may_run_on_the_database(live: Path, lock: object) -> None:
    assert callable(lock)
    with lock(live).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        assert at(live, *DAY, "--remove", "--yes").code == ExitCode.BUSY


def test_a_file_that_follows_a_fleet_is_refused_with_what_to_do(live: Path) -> None:
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.execute("INSERT INTO followed (id, fleet, timeline, seq) VALUES (1, 'f', 1, 7)")

    assert_refused(at(live, *DAY, "--remove"), ExitCode.REFUSED, "pipeline fleet detach")


def test_what_is_damaged_is_left_to_the_doctor(live: Path) -> None:
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.execute("UPDATE snapshots SET pe_ratio = 1 WHERE symbol = 'PEP'")

    assert_refused(at(live, *DAY, "--remove", "--yes"), ExitCode.FAILED, "pipeline doctor", "--deep")
