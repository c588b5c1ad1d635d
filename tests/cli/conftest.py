"""What the tests of commands begin with: configured folders, a database to query, and one that was collected into."""

import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.marker import Marker, write_marker
from pipeline.store.migrate import migrate
from tests.support.clocks import START
from tests.support.collected import Collected
from tests.support.observations import database_of, seen, uncovered
from tests.support.silent import SilentServer

Q1, Q2 = "2025-09-30", "2025-12-31"
PROFILE = {"Name": "An Example Inc", "CIK": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a configuration of one symbol, AAPL."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('[symbols]\nlist = ["AAPL"]\n')
    return tmp_path


@pytest.fixture
def configure(folder: Path) -> Callable[[str], object]:
    """Return the function that replaces the folder's configuration."""
    return (folder / "config" / "pipeline.toml").write_text


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    """Yield a server that no request should reach."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield SilentServer(listening)


@pytest.fixture(scope="session")
def stored() -> Path:
    """Return a database of two companies: IBM changed, was restated and lost its coverage; PEP was seen once, later."""
    return database_of([
        seen(0, PERatio="10", EPS="1", LatestQuarter=Q1, RevenueTTM="100", **PROFILE),
        seen(1, PERatio="10", EPS="1", LatestQuarter=Q1, RevenueTTM="100", **PROFILE),
        seen(2, PERatio="11.5", EPS="1.0", LatestQuarter=Q1, RevenueTTM="104", New="x", **PROFILE),
        seen(30, PERatio="11.5", EPS="1.0", LatestQuarter=Q2, RevenueTTM="0", New="x", **PROFILE),
        uncovered(40),
        seen(26, "PEP", PERatio="20", Name="Pop"),
    ])  # fmt: skip


@pytest.fixture(scope="session")
def alien(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return files that are not databases of this program, by what they are."""
    folder = tmp_path_factory.mktemp("alien")
    paths = {name: folder / name / "sandbox.db" for name in ("random", "theirs", "newer")}
    for path in paths.values():
        path.parent.mkdir()
    paths["random"].write_bytes(bytes(range(256)) * 64)
    with closing(sqlite3.connect(paths["theirs"])) as db:
        db.execute("CREATE TABLE theirs (a)")
    migrate(paths["newer"], now=START)
    with closing(sqlite3.connect(paths["newer"], isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 999")
    return paths


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """Return a folder that was collected into; its database must not be changed."""
    return Collected(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture
def live(stored: Path, tmp_path: Path) -> Path:
    """Return a database that was collected into."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "overviews.db"
    shutil.copy(stored, path)
    write_marker(path, Marker(began_at=START))
    return path
