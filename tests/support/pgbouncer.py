"""PgBouncer, a pooler between the fleet and PostgreSQL, where the system has it."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Postgres, as_unprivileged, folder_for_servers, free_port


@contextmanager
def pooling(server: Postgres, mode: str) -> Iterator[int]:
    """Yield the port of a pooler before a server: in mode `session` or `transaction`. Skip where there is none."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not on this machine")
    with folder_for_servers() as folder:
        port = free_port()
        users = folder / "users.txt"
        users.write_text('"postgres" ""\n')
        config = folder / "pgbouncer.ini"
        config.write_text(f"""
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
default_pool_size = 3
""")
        for path in (users, config):
            path.chmod(0o644)
        log = (folder / "pgbouncer.log").open("wb")
        running = subprocess.Popen(
            [program, config], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **as_unprivileged()
        )
        try:
            _wait(port, running, folder / "pgbouncer.log")
            yield port
        finally:
            running.terminate()
            running.wait(20)
            log.close()


def _wait(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert running.poll() is None, log.read_text()[-2000:]
        with suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        time.sleep(0.01)
    pytest.fail(log.read_text()[-2000:])
