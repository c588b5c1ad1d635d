"""The daemon's sign of life: its heartbeat and its lock are two looks, and a daemon may begin or end between."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.monitoring import daemon_sign, heartbeat
from pipeline.monitoring.daemon_sign import look_at_daemon, read_daemon
from pipeline.store.lock import hold_daemon_lock, is_daemon_running
from tests.support.clocks import START
from tests.support.monitoring import BEAT


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database on which a daemon ran once."""
    path = tmp_path / "o.db"
    with hold_daemon_lock(path, now=START):
        pass
    return path


@dataclass
class Daemon:
    """A daemon, as others see it."""

    database: Path

    def __post_init__(self) -> None:
        self._held = ExitStack()

    def begin(self) -> None:
        self._held.enter_context(hold_daemon_lock(self.database, now=START))
        heartbeat.write(self.database, BEAT)

    def end(self) -> None:
        heartbeat.remove(self.database)
        self._held.close()


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what lets something happen just before the lock is looked at, or just after."""

    def let(*, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None) -> None:
        def look(database: Path) -> bool:
            before()
            found = is_daemon_running(database)
            after()
            return found

        monkeypatch.setattr(daemon_sign, "is_daemon_running", look)

    return let


def test_a_daemon_that_begins_meanwhile_has_not_died(database: Path, between: Callable[..., None]) -> None:
    daemon = Daemon(database)
    between(after=daemon.begin)

    sign = read_daemon(database, now=BEAT.at)

    assert (sign.is_running, sign.beat, sign.problem) == (True, BEAT, None)
    daemon.end()


def test_a_daemon_that_ends_in_order_meanwhile_has_not_died(database: Path, between: Callable[..., None]) -> None:
    daemon = Daemon(database)
    daemon.begin()
    between(before=daemon.end)

    assert look_at_daemon(database) == (None, False)
    assert read_daemon(database, now=BEAT.at).problem is None


def test_a_daemon_whose_heartbeat_stays_without_its_lock_has_died(database: Path) -> None:
    heartbeat.write(database, BEAT)

    sign = read_daemon(database, now=BEAT.at)

    assert not sign.is_running
    assert sign.problem is not None
    assert "has died" in sign.problem.text


def test_a_heartbeat_that_cannot_be_read_is_a_problem(database: Path) -> None:
    heartbeat.heartbeat_path(database).write_bytes(b"{")

    sign = read_daemon(database, now=BEAT.at)

    assert sign.beat is None
    assert sign.problem is not None
    assert "damaged" in sign.problem.text
