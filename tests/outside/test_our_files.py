"""Files of ours are outside text too: a disk, a person or another program may have changed them."""

import asyncio
import fcntl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from pipeline.files import set_aside
from pipeline.model.symbols import Symbol
from pipeline.monitoring import heartbeat
from pipeline.monitoring.checks import daemon_problem
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.reporter import Reporter
from pipeline.monitoring.status import Scope
from pipeline.store.lock import Busy, hold_lock, lock_path
from pipeline.store.marker import marker_path, read_marker, record_gone
from tests.support.bad_bytes import bad_bytes
from tests.support.clocks import START
from tests.support.commands import call
from tests.support.monitoring import EMPTY

BEAT = (
    b'{"pid":7,"started_at":"2026-03-14T18:30:00.000Z","at":"2026-03-14T18:31:00.000Z","state":"waiting","run":null,'
    b'"hindrance":"another process collects","next_fire":"2026-03-15T18:30:00.000Z","continues_at":null,"last_run":3,'
    b'"last_status":"partial","silent_seconds":0.5,"refused":null,"timer_restarts":2}'
)
REPORTED = (
    b'{"courses":[["stale","AAPL",0,1,true],["run_failed","",1,2,false]],"events":[["crash","x"],["suspicion","y"]]}'
)
SIGNATURE = b'{"pid": 7, "purpose": "collect", "since": "2026-03-14T18:30:00.000Z"}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ours")


def is_one_line(error: BaseException) -> bool:
    return str(error).isprintable() and len(str(error)) < 1_000


@settings(max_examples=100)
@given(content=bad_bytes(BEAT))
@example(content=BEAT.replace(b"18:31:00.000Z", b"18:31:00"))
@example(content=BEAT.replace(b"0.5", b"1e300"))
@example(content=BEAT.replace(b'"pid":7', b'"pid":99999999999999999999'))
def test_a_heartbeat_is_one_that_can_be_used_or_damaged(folder: Path, content: bytes) -> None:
    database = folder / "o.db"
    heartbeat.heartbeat_path(database).write_bytes(content)
    with suppress(heartbeat.DamagedHeartbeat):
        beat = heartbeat.read(database)
        assert beat is not None
        daemon_problem(beat, is_running=True, now=START)
        Metrics().render(EMPTY, beat)
        heartbeat.write(database, beat)
        assert heartbeat.read(database) is not None


@pytest.mark.parametrize(
    "content",
    [b'{"pid": "\xff"}', b"[" * 20_000, BEAT.replace(b"2026-03-14T18:31:00.000Z", b"0001-01-01T00:00:00+23:59")],
)
def test_with_a_damaged_heartbeat_health_and_status_name_the_file(tmp_path: Path, content: bytes) -> None:
    database = tmp_path / "o.db"
    file = heartbeat.heartbeat_path(database)
    file.write_bytes(content)

    healthy = call(tmp_path, "health", "--database", str(database))
    status = call(tmp_path, "status", "--database", str(database))

    assert (healthy.code, healthy.out.count("\n")) == (7, 1)
    assert str(file) in healthy.out
    assert "no daemon runs" not in healthy.out, "one may run"
    assert str(file) in status.err
    assert file.read_bytes() == content, "it is the daemon's"


@settings(max_examples=100)
@given(content=bad_bytes(REPORTED))
def test_a_daemon_starts_whatever_was_reported_before_and_nothing_is_lost(folder: Path, content: bytes) -> None:
    database = folder / "o.db"
    reported, broken = folder / "o.db.told.json", folder / "o.db.told.json.broken"
    reported.write_bytes(content)
    broken.unlink(missing_ok=True)

    new_reporter(database)

    assert (broken if broken.exists() else reported).read_bytes() == content


def new_reporter(database: Path) -> Reporter:
    scope = Scope((Symbol("IBM"),), (), timedelta(hours=72), timedelta(days=14))
    return Reporter(
        database, scope, metrics=Metrics(), notifier=Notifier((), Sender("host", database)), ping=Ping(None)
    )


@pytest.mark.parametrize("content", [b'\xff{"courses":[],"events":[]}', b"[" * 20_000, b"[]"])
def test_a_damaged_memory_of_reports_is_set_aside_with_a_log_line(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o.db.told.json").write_bytes(content)

    new_reporter(tmp_path / "o.db")

    assert [path.name for path in tmp_path.iterdir()] == ["o.db.told.json.broken"]
    printed = "".join(capsys.readouterr())
    assert "o.db.told.json.broken" in printed
    assert printed.count("\n") == 1


def test_only_the_last_damaged_file_is_kept(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "x.json").write_text(content)
        assert set_aside(tmp_path / "x.json") == tmp_path / "x.json.broken"

    assert [path.name for path in tmp_path.iterdir()] == ["x.json.broken"]
    assert (tmp_path / "x.json.broken").read_text() == "second"
    assert set_aside(tmp_path / "missing.json") is None


@settings(max_examples=100)
@given(content=bad_bytes(SIGNATURE))
def test_a_lock_is_busy_in_one_line_whatever_its_file_says_of_the_holder(folder: Path, content: bytes) -> None:
    database = folder / "locked.db"
    lock_path(database).write_bytes(content)
    with lock_path(database).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Busy) as busy:
            asyncio.run(take_lock(database))
    assert is_one_line(busy.value)


@settings(max_examples=50)
@given(content=bad_bytes(b'{"began_at":"2026-03-14T18:30:00Z","lost_at":null,"set_aside":"o.db.2026"}'))
@example(content=b'{"set_aside":"\\u001b[2J"}')
def test_a_marker_says_that_there_was_a_record_whatever_else_it_says(folder: Path, content: bytes) -> None:
    database = folder / "gone.db"
    marker_path(database).write_bytes(content)

    assert read_marker(database) is not None
    assert is_one_line(record_gone(database))


async def take_lock(database: Path) -> None:
    at_once = timedelta()
    async with hold_lock(
        database, "test", max_wait=at_once, now=lambda: START, sleep=asyncio.sleep, on_wait=lambda _line: None
    ):
        pass
