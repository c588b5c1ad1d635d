"""The PostgreSQL of the tests: databases apart, crashes, a standby that takes over."""

import psycopg
import pytest

from tests.support.postgres import Databases, running_server


def test_each_test_has_a_database_of_its_own_with_the_fleets_schema(postgres: Databases) -> None:
    with postgres.create() as first, postgres.create() as second:
        with psycopg.connect(first) as db:
            db.execute("INSERT INTO fleet.keys (id, name) VALUES ('k', 'one')")
        with psycopg.connect(second) as db:
            assert db.execute("SELECT count(*) FROM fleet.keys").fetchone() == (0,)
            assert db.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


@pytest.mark.process
@pytest.mark.slow
def test_a_standby_that_is_promoted_has_what_the_crashed_server_committed() -> None:
    with running_server() as primary:
        with psycopg.connect(primary.url(), autocommit=True) as db:
            db.execute("CREATE TABLE kept (x int)")
        standby = primary.standby(primary.folder.parent / "standby")
        try:
            primary.freeze()
            primary.crash()
            standby.promote()
            with psycopg.connect(standby.url()) as db:
                assert db.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        finally:
            standby.crash()
