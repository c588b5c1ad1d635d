"""What is no file, where one is to be read or written: a line that says so, and nothing waits for it."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from pipeline.errors import ExitCode
from pipeline.store.database import beside
from pipeline.store.marker import Marker, write_marker
from tests.support.clocks import START
from tests.support.commands import KEY, NEEDED, Ended, call, run_shell

READING = ["status", "history", "as-of", "changes", "vintages", "runs", "symbols", "plan", "export", "panel", "doctor"]
WRITING = ["collect", "import", "run", "migrate", "backup", "serve", "health"]
MINUTE = 60


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def folder_(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


KINDS: list[Callable[[Path], None]] = [fifo, unix_socket, folder_, device]


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """Fail where something waits: a call of the system that blocks is interrupted."""

    def fail(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(MINUTE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def assert_one_line(ended: Ended, *words: str) -> None:
    assert ended.code not in (ExitCode.DONE, None), ended
    assert "Traceback" not in ended.err + ended.out
    lines = [line for line in ended.err.splitlines() if line]
    assert len(lines) == 1, ended.err
    assert all(word in lines[0] for word in words), ended.err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", READING + WRITING)
def test_as_the_database(folder: Path, kind: Callable[[Path], None], command: str) -> None:
    kind(folder / "data.db")
    (folder / "x.jsonl").write_text('{"symbol": "IBM", "observed_at": "2024-03-13T18:00:00Z", "document": {}}\n')
    needed = [*NEEDED.get(command, []), *(["name"] if command == "panel" else [])]

    ended = call(folder, command, *needed, "--database", "data.db", ALPHAVANTAGE_API_KEY=KEY)

    assert ended.code not in (ExitCode.DONE, None)
    assert "Traceback" not in ended.err + ended.out
    assert "data.db" in ended.err + ended.out


@pytest.mark.parametrize("kind", [fifo, unix_socket, folder_])
@pytest.mark.parametrize("command", READING + WRITING)
def test_in_the_place_of_a_record(folder: Path, kind: Callable[[Path], None], command: str) -> None:
    kind(folder / "data.db")
    write_marker(folder / "data.db", Marker(began_at=START))
    (folder / "x.jsonl").write_text('{"symbol": "IBM", "observed_at": "2024-03-13T18:00:00Z", "document": {}}\n')
    needed = [*NEEDED.get(command, []), *(["name"] if command == "panel" else [])]

    ended = call(folder, command, *needed, "--database", "data.db", ALPHAVANTAGE_API_KEY=KEY)

    assert ended.code not in (ExitCode.DONE, None)
    assert "but a record was kept there" in ended.err + ended.out
    assert "pipeline restore" in ended.err + ended.out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_beside_the_database(folder: Path, stored: Path, kind: Callable[[Path], None], suffix: str) -> None:
    (folder / "data.db").write_bytes(stored.read_bytes())
    kind(folder / f"data.db{suffix}")

    assert_one_line(call(folder, "history", "IBM", "--database", "data.db"), f"data.db{suffix} is ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_beside_the_database_that_a_backup_replaces(
    folder: Path, stored: Path, kind: Callable[[Path], None], suffix: str
) -> None:
    database, backup = folder / "data.db", folder / "backup.db"
    database.write_bytes(stored.read_bytes())
    assert call(folder, "backup", str(backup), "--database", str(database)).code == ExitCode.DONE
    kind(beside(database, suffix))

    ended = call(folder, "restore", str(backup), "--database", str(database))

    assert ended.code == ExitCode.DONE, ended.err
    assert "no requests before" in ended.out, "what the replaced file requested is not known"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".record", ".heartbeat.json", ".told.json", ".lock", ".daemon.lock"])
def test_as_one_of_our_own_files(folder: Path, stored: Path, kind: Callable[[Path], None], suffix: str) -> None:
    (folder / "data.db").write_bytes(stored.read_bytes())
    kind(beside(folder / "data.db", suffix))

    for command in (["status"], ["health"], ["doctor", "--quick"], ["history", "IBM"], ["import", "none.jsonl"]):
        words = [*command, "--database", "data.db"]
        ended = call(folder, *words)
        assert "Traceback" not in ended.err + ended.out, (words, ended.err)


@pytest.mark.parametrize("kind", KINDS)
def test_as_the_configuration(folder: Path, kind: Callable[[Path], None]) -> None:
    kind(folder / "other.toml")

    assert_one_line(call(folder, "plan", "--config", "other.toml"), "other.toml", "cannot be read")


@pytest.mark.parametrize("kind", KINDS)
def test_as_the_symbols_file(folder: Path, configure: Callable[[str], object], kind: Callable[[Path], None]) -> None:
    configure('[symbols]\nfile = "symbols.txt"\n')
    kind(folder / "config" / "symbols.txt")

    assert_one_line(call(folder, "plan"), "symbols.txt", "cannot be read")


@pytest.mark.parametrize("kind", KINDS)
def test_as_the_dotenv(folder: Path, kind: Callable[[Path], None]) -> None:
    kind(folder / ".env")

    ended = call(folder, "collect")

    assert ended.code == ExitCode.REFUSED
    assert ".env: cannot be read" in ended.err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variable", ["ALPHAVANTAGE_API_KEY_FILE", "PIPELINE_FLEET_URL_FILE"])
def test_as_a_secret(folder: Path, kind: Callable[[Path], None], variable: str) -> None:
    kind(folder / "secret")

    command = "collect" if variable.startswith("ALPHA") else "fleet"
    assert_one_line(call(folder, command, **{variable: str(folder / "secret")}), variable, "cannot be read")


@pytest.mark.parametrize("kind", KINDS)
def test_as_the_instants_of_a_panel(folder: Path, stored: Path, kind: Callable[[Path], None]) -> None:
    kind(folder / "instants")

    ended = call(folder, "panel", "name", "--at", "instants", "--database", str(stored))

    assert_one_line(ended, "instants cannot be read")


@pytest.mark.parametrize("kind", [unix_socket, folder_, device])
@pytest.mark.parametrize("words", [["import"], ["join", "name", "--output", "out.csv"]])
def test_as_what_is_imported_or_joined(
    folder: Path, stored: Path, kind: Callable[[Path], None], words: list[str]
) -> None:
    kind(folder / "rows.csv")

    ended = call(folder, words[0], "rows.csv", *words[1:], "--database", str(stored))

    assert_one_line(ended, "rows.csv")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "words",
    [
        ["export", "--output", "out.csv"],
        ["backup", "out.csv"],
        ["datasette-metadata", "--output", "out.csv"],
        ["panel", "name", "--since", "2026-03-14", "--until", "2026-03-14", "--output", "out.csv"],
    ],
    ids=" ".join,
)
def test_as_the_file_to_write(folder: Path, stored: Path, kind: Callable[[Path], None], words: list[str]) -> None:
    kind(folder / "out.csv")

    named = "/dev/zero is not a regular file" if kind is device and words[0] != "backup" else "out.csv"
    assert_one_line(call(folder, *words, "--database", str(stored)), named)


@pytest.mark.process
def test_a_pipe_of_the_shell_is_read(folder: Path, stored: Path) -> None:
    panel = f'"$PIPELINE" panel name --at <(echo 2026-03-20) --database {stored} --format csv'
    rows = '<(printf "symbol,time\\nIBM,2026-03-20\\n")'
    join = f'"$PIPELINE" join {rows} name --format csv --output - --database {stored}'
    plan = '"$PIPELINE" plan --config <(sleep 0.1; printf "[symbols]\\nlist = [\\"IBM\\"]\\n") --database none.db'

    for line, word in ((panel, "An Example Inc"), (join, "An Example Inc"), (plan, "1 (IBM)")):
        ended = run_shell(folder, line)
        assert word in ended.out, ended
