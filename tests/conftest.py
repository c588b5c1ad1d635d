"""What most tests begin with: a migrated database, a clock, and the API's stand-in on loopback."""

import asyncio
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from pipeline.store.marker import Marker, write_marker
from tests.support.answerable import create_answerable
from tests.support.clocks import START, ManualClock
from tests.support.observations import empty_database
from tests.support.sandbox import Served, serving

if TYPE_CHECKING:
    from tests.support.postgres import Databases

# Any examples, and many: pytest --hypothesis-profile=explore. No deadline: a busy machine is no failure.
settings.register_profile("explore", deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
# The same few examples in every run. A property about arithmetic sets `max_examples` itself.
settings.register_profile("same", settings.get_profile("explore"), max_examples=20, derandomize=True, database=None)
settings.load_profile("same")

_MEMORY = Path("/dev/shm")
_ROOM = 2 * 2**30
"""Bytes: several times what all tests leave."""


def pytest_configure() -> None:
    """Put the files of the tests into memory, if the machine has the room: a disk's time to sync proves nothing here.

    Databases are in files all the same, and what is killed leaves what the system had. pytest has `--basetemp`, too.
    Keep bytecode, though some images say not to: without it each process compiles all the tests, or all it imports.
    Let the processes under test see Ctrl-C: a shell starts its background jobs, and all they start, with it ignored.
    Log a traceback as Python writes it: in colour and with every local variable it takes a fifth of a second.
    """
    structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


_running: list[pytest.Item] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> object:
    _running[:] = [item]
    try:
        return (yield)
    finally:
        structlog.reset_defaults()  # commands set up logging, for as long as their process lives


def _for_marked_tests(start: Callable[..., Any]) -> Callable[..., Any]:
    """Return what starts a process, so that it fails a test that is not marked so. PostgreSQL is no test's own."""

    @wraps(start)
    def starting(*arguments: object, **options: object) -> object:
        for item in _running:
            if item.get_closest_marker("process") is None:
                pytest.fail(f"{item.nodeid} starts a process: mark it with pytest.mark.process")
        return start(*arguments, **options)

    return starting


# Not an audit hook: that is asked at each file opened and module imported, too, and takes a fiftieth of all time.
for _owner, _name in ((subprocess.Popen, "__init__"), (os, "system"), (os, "posix_spawn"), (os, "fork")):
    setattr(_owner, _name, _for_marked_tests(getattr(_owner, _name)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> object:
    """Keep the garbage collector from what is made of the tests, which stays: it took a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database that was begun earlier, with nothing in it yet."""
    path = tmp_path / "overviews.db"
    shutil.copy(empty_database(), path)
    write_marker(path, Marker(began_at=START))
    return path


@pytest.fixture(scope="session")
def _answerable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of such a database, to be copied."""
    folder = tmp_path_factory.mktemp("answerable") / "data"
    asyncio.run(create_answerable(folder / "overviews.db"))
    return folder


@pytest.fixture
def answerable(tmp_path: Path, _answerable: Path) -> Path:
    """Return a database in which every question of the documentation has an answer."""
    return shutil.copytree(_answerable, tmp_path / "data") / "overviews.db"


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Databases]":
    """Return PostgreSQL, started for the first test that wants it. Skip where it cannot be had."""
    from tests.support.postgres import Databases, running_server  # noqa: PLC0415 - imports psycopg

    running, _running[:] = _running[:], []
    with running_server() as server, closing(Databases(server)) as databases:
        _running[:] = running
        yield databases


@pytest.fixture
def fleet_url(postgres: "Databases") -> Iterator[str]:
    """Return the URL of a PostgreSQL database of the test's own, with the fleet's schema and nothing in it."""
    with postgres.create() as url:
        yield url


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served
