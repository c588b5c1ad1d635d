"""Connections to PostgreSQL: what fails is said in a line, without the password."""

import socket

import pytest

from pipeline.errors import ExitCode
from pipeline.fleet.connection import FleetError, NoFleet, connected, place
from pipeline.fleet.state import read_state
from tests.support.postgres import Databases


def error(url: str, statement: bytes = b"SELECT 1") -> FleetError:
    with pytest.raises(FleetError) as raised, connected(url) as db:
        db.execute(statement)
    assert str(raised.value).isprintable()
    assert "s3cret" not in str(raised.value)
    return raised.value


def test_each_statement_commits_by_itself(fleet_url: str) -> None:
    with connected(fleet_url) as db:
        db.execute("INSERT INTO fleet.keys (id, name) VALUES ('k', 'one')")
        with connected(fleet_url) as another:
            assert another.execute("SELECT count(*) FROM fleet.keys").fetchone() == (1,)


def test_a_server_that_does_not_listen_is_named_without_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{taken.getsockname()[1]}/fleet"

        problem = error(f"postgresql://me:s3cret@{where}").problem

    assert f"PostgreSQL at {where} cannot be reached" in problem
    assert "refused" in problem


@pytest.mark.parametrize("url", ["s3cret", "postgresql://me:s3cret@[::1/x", "postgresql://me@h/x?s3cret=1"])
def test_a_url_that_is_none_is_not_repeated(url: str) -> None:
    assert "PIPELINE_FLEET_URL" in error(url).problem


def test_a_database_without_a_fleet_is_refused_with_the_remedy(postgres: Databases) -> None:
    with postgres.empty() as url, pytest.raises(NoFleet) as raised, connected(url) as db:
        read_state(db)

    assert raised.value.exit_code == ExitCode.REFUSED
    assert "pipeline fleet init" in str(raised.value.remedy)


def test_what_the_user_may_not_do_is_said(fleet_url: str) -> None:
    with connected(fleet_url) as db:
        db.execute("DROP ROLE IF EXISTS nobody_much")
        db.execute("CREATE ROLE nobody_much LOGIN")
    try:
        refused = error(fleet_url.replace("postgres@", "nobody_much:s3cret@"), b"SELECT * FROM fleet.about")
        assert "permission denied" in refused.problem
        assert "grant" in str(refused.remedy)
    finally:
        with connected(fleet_url) as db:
            db.execute("DROP ROLE nobody_much")


def test_the_place_is_what_the_url_names() -> None:
    assert place("postgresql://me:s3cret@db.example:5433/fleet?sslmode=require") == "db.example:5433/fleet"
    assert place("postgresql:///fleet") == "this machine/fleet"
