"""Forks: the process of a stage. It has loaded the program, and forks one process for each command that it reads."""

import gc
import http.client
import importlib
import json
import os
import re
import signal
import sqlite3
import sys
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

from pipeline.cli import app
from pipeline.store import migrate, migration_steps, writer

_SECONDS = 60
"""After which a command hangs: it is ended by SIGALRM."""
_SERVING = re.compile(rb'"address": ?"http://([^"]+)"')
_READY = b'"next run"'
"""How the daemon says where it serves, and that a client may ask."""
_connect_as_ever = sqlite3.connect
_LOADED = (
    "as_of", "backup", "changes", "collect", "correct", "datasette_metadata", "doctor", "export", "health", "history",
    "import_", "init", "join", "migrate", "panel", "plan", "restore", "run", "runs", "status", "symbols", "vintages",
)  # fmt: skip


def main() -> None:
    """Read a command a line, and print how each ended. Or a line names more modules to load."""
    _load(*(f"pipeline.cli.commands.{command}" for command in _LOADED), "pipeline.cli.error_output", "aiohttp")
    # Small records and short trials are to see all that happens with large ones, and in time.
    writer.PAUSES = tuple(timedelta(milliseconds=1) for _ in writer.PAUSES)
    migrate.TRANSACTION_ROWS = 4
    migration_steps.BATCH_ROWS = 2
    sqlite3.connect = _connect  # type: ignore[assignment]
    for line in sys.stdin:
        order = json.loads(line)
        print(_load(*order["load"]) if "load" in order else _run(**order), flush=True)


def _load(*modules: str) -> int:
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    return 0


def _run(*, err: str, stop_at: str | None, asks: str | None, **order: Any) -> int:
    """Return the exit code of a command.

    When it prints the text `stop_at` to stderr, it gets SIGTERM; or when it has answered a client, who asks for the
    path `asks` once the command says that it is ready. The answer is what was printed then.
    """
    reader, writer = os.pipe()
    client = serving = None
    if (child := os.fork()) == 0:
        os.close(reader)
        run_command(**order, err=writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as printed, Path(err).open("wb") as file:
        for line in printed:
            file.write(line)
            serving = serving or _SERVING.search(line)
            if asks is not None and client is None and serving and _READY in line:
                client = Thread(target=_ask, args=(serving[1].decode(), asks, child, order["out"]))
                client.start()
            if stop_at is not None and stop_at.encode() in line:
                os.kill(child, signal.SIGTERM)
    if client is not None:
        client.join()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _ask(address: str, path: str, child: int, out: str) -> None:
    """Ask the process of a command, which has not been waited for, keep the whole answer, and stop it."""
    with suppress(OSError, http.client.HTTPException):  # it was killed
        connection = http.client.HTTPConnection(address, timeout=_SECONDS)
        connection.request("GET", path)
        Path(out).write_bytes(connection.getresponse().read())
        connection.close()
        os.kill(child, signal.SIGTERM)


def _connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
    """Connect as ever, but move the log into the database after a few pages, and sync no commit unless told to.

    SQLite does the one after a thousand pages, and the other where it was built so.
    """
    db: sqlite3.Connection = _connect_as_ever(*arguments, **options)
    db.execute("PRAGMA wal_autocheckpoint = 20")
    with suppress(sqlite3.Error):  # it reads the file: what is wrong with that is to be found by the program
        db.execute("PRAGMA synchronous = NORMAL")
    return db


def run_command(folder: str, arguments: list[str], variables: dict[str, str], out: str, err: str | int) -> NoReturn:
    """Be the process of a command, which prints to two files, the second of which may be open."""
    signal.alarm(_SECONDS)
    for descriptor, place in enumerate((os.devnull, out, err)):
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if descriptor else 0)
        os.dup2(place if isinstance(place, int) else os.open(place, flags), descriptor)
    os.chdir(folder)
    os.environ.update(variables)
    tempfile.tempdir = None  # it is where TMPDIR says
    sys.argv = ["pipeline", *arguments]
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as Python opens them
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    code: Any = 0
    try:
        app.main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - the fork must not become another stage
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    main()
