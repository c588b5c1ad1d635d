"""Fleet scenes: commands that move a record between a machine and a fleet, whose PostgreSQL outlives what is killed."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from pipeline.fleet.install import install
from pipeline.store.log_place import followed
from tests.support.postgres import Postgres, binaries, running_server
from tests.torture.contents import contents
from tests.torture.scenes import DATABASE, Scene, Theatre

_SCENE, _EMPTY, _IMPORTED = "scene", "empty_fleet", "imported_fleet"
_MODULES = ("importing", "pool", "detaching", "install", "state")
_LOG = """
    SELECT seq, kind, symbol, run_id, CASE kind WHEN 'answer' THEN at::text END FROM fleet.log ORDER BY seq
"""
_SLOT = """
    INSERT INTO fleet.slots (key_id, symbol, member, retry, reserved_at, deadline_at, finished_at, outcome)
    VALUES ('theirs', 'TSLA', 'another', false, now() - interval '1 hour', now() - interval '1 hour',
            now() - interval '1 hour', 'answered')
"""
"""A request of another member, which the record learns of when it is detached."""


def missing() -> str | None:
    """Return why there are no such scenes on this machine, None if there are."""
    try:
        binaries()
    except pytest.skip.Exception as reason:
        return str(reason)
    return None


@contextmanager
def fleet_scenes(stage: Theatre, record: Path) -> Iterator[list[Scene]]:
    """Yield the scenes, with a PostgreSQL that runs meanwhile. They begin with a folder that has a record."""
    stage.load("pipeline.cli.commands.fleet", *(f"pipeline.fleet.{name}" for name in _MODULES))
    with running_server() as server, closing(_Fleet(server)) as fleet:
        variables = {"PIPELINE_FLEET_URL": server.url(_SCENE), "PIPELINE_FLEET__NAME": "alpha"}
        fleet.begin(_EMPTY)
        following = record.with_name("following")
        shutil.copytree(record, following)
        played = stage.play(following, "fleet", "import", str(DATABASE), variables=variables)
        if played.code:
            raise AssertionError(f"fleet import ended with {played.code}: {played.err}")
        fleet.keep_as(_IMPORTED)
        yield [
            Scene(
                "fleet import",
                record,
                ("fleet", "import", str(DATABASE)),
                variables=variables,
                outside=lambda: fleet.begin(_EMPTY),
                then=fleet.has,
            ),
            Scene(
                "fleet detach",
                following,
                ("fleet", "detach"),
                variables=variables,
                outside=lambda: fleet.begin(_IMPORTED),
                then=fleet.has,
                says_done="follows no fleet",
            ),
        ]


class _Fleet:
    """One database of a server, which is made from others."""

    def __init__(self, server: Postgres) -> None:
        self._url = server.url(_SCENE)
        self._db = psycopg.connect(server.url(), autocommit=True)
        self._db.execute(f"CREATE DATABASE {_EMPTY}")
        with psycopg.connect(server.url(_EMPTY), autocommit=True) as db:
            install(db)

    def begin(self, template: str) -> None:
        """Make the database as another one is. Commands that were killed may still be connected to it."""
        self._db.execute(f"DROP DATABASE IF EXISTS {_SCENE} WITH (FORCE)")
        self._db.execute(f"CREATE DATABASE {_SCENE} TEMPLATE {template} STRATEGY file_copy")

    def keep_as(self, name: str) -> None:
        """Let the database be one that others are made from, once another member has sent a request."""
        with psycopg.connect(self._url, autocommit=True) as db:
            db.execute(_SLOT)
        self._db.execute(f"ALTER DATABASE {_SCENE} RENAME TO {name}")

    def has(self, folder: Path) -> object:
        """Return what is in the log, what the ledger of a record has, and whether it follows the fleet."""
        with psycopg.connect(self._url, autocommit=True) as db:
            entries = db.execute(_LOG).fetchall()
        record = folder / DATABASE
        return entries, contents(record).requests, followed(record) is not None

    def close(self) -> None:
        """Close the connection to the server."""
        self._db.close()
