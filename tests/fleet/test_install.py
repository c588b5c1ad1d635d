"""Installing the fleet's schema: once, by the first to come, all of it or nothing."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from pipeline.errors import ExitCode
from pipeline.fleet import install as installing
from pipeline.fleet.connection import FleetRefused, NoFleet
from pipeline.fleet.install import Connection, Installed, check, install, newest_version, version
from tests.support.postgres import Databases

NEWEST = newest_version()


@pytest.fixture
def db(postgres: Databases) -> Iterator[Connection]:
    with postgres.empty() as url, psycopg.connect(url, autocommit=True) as db:
        yield db


def objects(db: Connection) -> set[str]:
    """Return the names of all functions, tables and indexes that are not PostgreSQL's."""
    query = """
        SELECT p.oid::regprocedure::text FROM pg_proc p
         WHERE p.pronamespace IN ('fleet'::regnamespace, 'public'::regnamespace)
        UNION ALL SELECT c.oid::regclass::text FROM pg_class c
         WHERE c.relnamespace IN ('fleet'::regnamespace, 'public'::regnamespace)
    """
    return {name for (name,) in db.execute(query)}


def copied_schema(folder: Path, **steps: str) -> Path:
    """Return a copy of the schema's files with further steps."""
    shutil.copytree(Path(installing.__file__).parent / "schema", folder / "schema")
    (folder / "schema" / "steps").mkdir(exist_ok=True)
    for name, sql in steps.items():
        (folder / "schema" / "steps" / f"{name.removeprefix('step_')}.sql").write_text(sql)
    return folder / "schema"


def test_an_empty_database_gets_both_schemas_and_a_second_time_nothing(db: Connection) -> None:
    with pytest.raises(NoFleet):
        check(db)

    assert install(db) == Installed(before=0, after=NEWEST)
    first = objects(db)
    about = db.execute("SELECT * FROM fleet.about").fetchall()

    assert install(db) == Installed(before=NEWEST, after=NEWEST)
    assert objects(db) == first
    assert db.execute("SELECT * FROM fleet.about").fetchall() == about
    check(db)
    assert db.execute("SELECT first_seq FROM fleet.timelines").fetchall() == [(1,)]


def test_functions_that_a_version_has_changed_are_made_anew(db: Connection, tmp_path: Path) -> None:
    install(db)
    folder = copied_schema(tmp_path)
    with (folder / "runs.sql").open("a") as script:
        script.write("CREATE FUNCTION fleet.one() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\n")

    assert install(db, folder=folder) == Installed(before=NEWEST, after=NEWEST)
    assert db.execute("SELECT fleet.one()").fetchone() == (1,)
    install(db)
    assert "fleet.one()" not in objects(db)


def test_two_that_install_at_once_make_one_fleet(postgres: Databases) -> None:
    with postgres.empty() as url:
        done: list[Installed] = []

        def one() -> None:
            with psycopg.connect(url, autocommit=True) as db:
                done.append(install(db))

        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(each.before for each in done) == [0, NEWEST, NEWEST]


def test_a_newer_schema_is_refused_by_an_older_program(db: Connection) -> None:
    install(db)
    db.execute("UPDATE fleet.about SET version = version + 1")

    for refusing in (install, check):
        with pytest.raises(FleetRefused, match="update this machine") as refused:
            refusing(db)
        assert refused.value.exit_code == ExitCode.REFUSED


def test_an_older_schema_is_brought_up_to_date_step_by_step(db: Connection, tmp_path: Path) -> None:
    install(db)
    newer = copied_schema(
        tmp_path,
        **{f"step_{NEWEST + 1:04}_more": "CREATE TABLE fleet.more (x int)"},
        **{f"step_{NEWEST + 2:04}_yet_more": "ALTER TABLE fleet.more ADD y int"},
    )
    (newer / "slots.sql").write_text(
        (newer / "slots.sql").read_text() + "CREATE FUNCTION fleet.new() RETURNS int RETURN 1;"
    )

    assert install(db, folder=newer) == Installed(NEWEST, NEWEST + 2)

    assert db.execute("SELECT x, y FROM fleet.more").fetchall() == []
    assert db.execute("SELECT fleet.new()").fetchone() == (1,)
    assert version(db) == NEWEST + 2


def test_a_step_that_fails_changes_nothing(db: Connection, tmp_path: Path) -> None:
    install(db)
    before = objects(db)
    broken = copied_schema(tmp_path, **{f"step_{NEWEST + 1:04}_bad": "CREATE TABLE fleet.more (x int); SELECT 1 / 0"})

    with pytest.raises(psycopg.errors.DivisionByZero):
        install(db, folder=broken)

    assert objects(db) == before
    assert version(db) == NEWEST


def test_procrastinates_tables_of_another_program_are_used_as_they_are(db: Connection) -> None:
    db.execute(SchemaManager.get_schema().encode())
    db.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('theirs', 'task')")

    install(db)

    assert db.execute("SELECT queue_name FROM procrastinate_jobs").fetchall() == [("theirs",)]


def test_tables_of_an_older_procrastinate_are_refused_and_left_alone(db: Connection) -> None:
    db.execute(SchemaManager.get_schema().encode())
    db.execute("DROP FUNCTION procrastinate_retry_job_v2 CASCADE")

    with pytest.raises(FleetRefused, match="procrastinate_retry_job_v2"):
        install(db)

    assert version(db) == 0


def test_procrastinates_migrations_since_the_last_time_are_applied(db: Connection) -> None:
    install(db)
    trigger = "procrastinate_trigger_function_status_events_update_v1"
    db.execute(f"DROP FUNCTION {trigger} CASCADE".encode())  # what the last migration makes
    newest = db.execute("SELECT procrastinate FROM fleet.about").fetchone()
    db.execute("UPDATE fleet.about SET procrastinate = '03.04.00_01_pre_add_retry_failed_job_procedure.sql'")

    install(db)

    assert db.execute("SELECT count(*) FROM pg_proc WHERE proname = %s", [trigger]).fetchone() == (1,)
    assert db.execute("SELECT procrastinate FROM fleet.about").fetchone() == newest
