"""What commands do with a file that is not this program's database, or cannot be one."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.store.marker import Marker, write_marker
from pipeline.store.record import LEDGER_LOST
from tests.support.clocks import START
from tests.support.commands import KEY, NEEDED, Ended, assert_refused, call
from tests.support.observations import empty_database
from tests.support.silent import SilentServer

READERS = [
    [command, *NEEDED.get(command, [])]
    for command in (
        "status",
        "plan",
        "runs",
        "symbols",
        "backup",
        "history",
        "as-of",
        "changes",
        "vintages",
        "export",
        "serve",
    )
]


COLLECT = ["collect", "--sandbox", "--latency", "0"]


@pytest.mark.parametrize("command", [*READERS, COLLECT])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("random", ["not a database", "name another file"]),
        ("theirs", ["another program", "name another file"]),
        ("newer", ["newer", "999", "upgrade"]),
    ],
)
def test_a_foreign_file_ends_with_1_and_is_left_unchanged(
    folder: Path, alien: dict[str, Path], command: list[str], kind: str, words: list[str]
) -> None:
    path = alien[kind]
    before = path.read_bytes()

    ended = call(folder, "-q", "--database", str(path), *command)

    assert_refused(ended, ExitCode.FAILED, str(path), *words)
    assert path.read_bytes() == before
    assert not (folder / "copy.db").exists()


@pytest.mark.parametrize("command", READERS)
def test_a_database_that_is_a_folder_ends_with_1(folder: Path, command: list[str]) -> None:
    assert_refused(call(folder, "--database", "config", *command), ExitCode.FAILED, "config")


def test_collecting_into_a_folder_ends_with_1(folder: Path, silent: SilentServer) -> None:
    ended = call(
        folder, "--database", "config", "collect", ALPHAVANTAGE_API_KEY=KEY, PIPELINE_SOURCE__BASE_URL=silent.url
    )

    assert_refused(ended, ExitCode.FAILED, "config is a folder: name a file in it")
    silent.assert_nothing_received()


@pytest.mark.parametrize("name", [".", "/", "x" * 300])
@pytest.mark.parametrize("command", [*READERS, COLLECT])
def test_a_path_that_cannot_be_a_file_ends_with_3(folder: Path, command: list[str], name: str) -> None:
    assert_refused(call(folder, "--database", name, *command), ExitCode.REFUSED, "--database: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_database_in_a_folder_that_is_read_only_ends_with_1(folder: Path, silent: SilentServer) -> None:
    (folder / "data").mkdir(mode=0o500)

    ended = call(folder, "collect", ALPHAVANTAGE_API_KEY=KEY, PIPELINE_SOURCE__BASE_URL=silent.url)

    assert_refused(ended, ExitCode.FAILED, "permission denied")
    silent.assert_nothing_received()


def test_runs_and_backup_without_a_database_end_with_1(folder: Path) -> None:
    for command in (["runs"], ["runs", "1"], ["backup", "copy.db"]):
        assert_refused(call(folder, *command), ExitCode.FAILED, "no database at", "pipeline collect")


@pytest.mark.parametrize("state", ["absent", "empty", "without snapshots"])
def test_what_fills_the_sandboxs_database_needs_no_key(
    folder: Path, configure: Callable[[str], object], state: str
) -> None:
    configure('database = "sandbox.db"\n[symbols]\nlist = ["AAPL"]')
    if state != "absent":
        (folder / "sandbox.db").write_bytes(b"" if state == "empty" else empty_database().read_bytes())

    for command in ("history AAPL", "status", "as-of now", "doctor --quick"):
        ended = call(folder, *command.split())
        if state == "absent" or not command.startswith(("status", "doctor")):
            assert "pipeline collect --sandbox" in ended.err + ended.out, command
    (folder / "sandbox.db").unlink(missing_ok=True)
    suggested = re.search(r"create it with pipeline (.*)", call(folder, "history", "AAPL").err)
    assert suggested is not None
    assert call(folder, *suggested[1].split(), "--latency", "0").code == ExitCode.DONE
    assert call(folder, "history", "AAPL").code == ExitCode.DONE


@pytest.fixture
def vanished(folder: Path) -> Path:
    """Return a folder whose database was removed, but not the marker beside it."""
    database = folder / "overviews.db"
    write_marker(database, Marker(began_at=START))
    (folder / "x.jsonl").write_text('{"symbol": "IBM", "observed_at": "2024-01-01T00:00:00Z", "body": "{}"}')
    return folder


def call_real(folder: Path, silent: SilentServer, *arguments: str) -> Ended:
    """Call a command with a key, a real record and an API that must not be asked."""
    return call(
        folder,
        *arguments,
        ALPHAVANTAGE_API_KEY=KEY,
        PIPELINE_DATABASE="overviews.db",
        PIPELINE_SOURCE__BASE_URL=silent.url,
    )


@pytest.mark.parametrize(
    "command",
    [
        *READERS,
        ["collect", "-q"],
        ["collect", "--sandbox", "--database", "overviews.db"],
        ["import", "x.jsonl", "-q"],
        ["run"],
    ],
)
def test_a_vanished_record_ends_every_command_with_3_and_nothing_is_created(
    vanished: Path, silent: SilentServer, command: list[str]
) -> None:
    ended = call_real(vanished, silent, *command)

    assert ended.code == ExitCode.REFUSED
    assert ended.out == ""
    assert "overviews.db is gone, but a record was kept there: mount its volume, " in ended.err
    assert "--new-record" in ended.err
    assert not (vanished / "overviews.db").exists()
    silent.assert_nothing_received()


def test_health_and_doctor_find_a_vanished_record(vanished: Path, silent: SilentServer) -> None:
    health, doctor = (call_real(vanished, silent, command) for command in ("health", "doctor"))

    assert (health.code, doctor.code) == (ExitCode.STALE, ExitCode.FAILED)
    for ended in (health, doctor):
        assert "overviews.db is gone, but a record was kept there" in ended.out


def test_a_new_record_is_begun_when_that_is_asked_for_but_requests_nothing_for_a_day(
    vanished: Path, silent: SilentServer
) -> None:
    ended = call_real(vanished, silent, "collect", "--new-record")

    assert ended.code == ExitCode.QUOTA
    assert ended.err == "pipeline: a new record begins in overviews.db\n"
    assert f"{LEDGER_LOST}: no requests before" in ended.out
    silent.assert_nothing_received()
    assert_refused(call_real(vanished, silent, "collect", "--new-record"), ExitCode.REFUSED, "holds a record")


@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
def test_the_database_itself_is_no_archive_to_import(tmp_path: Path, database: Path, suffix: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(f"{database}{suffix}")
    Path(f"{database}{suffix}").touch()

    for name in (f"{database}{suffix}", str(link)):
        ended = call(tmp_path, "import", name, "--database", str(database))
        assert_refused(ended, ExitCode.FAILED, "belongs to the database itself")
