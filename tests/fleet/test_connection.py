"""Connections to PostgreSQL: what fails is said in a line, without the password."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ExitCode, Trouble
from pipeline.fleet.connection import FleetError, FleetRefused, NoFleet, connected, place
from pipeline.fleet.pool import PATIENCE_FOR_ALL, Pool, fetch
from pipeline.fleet.state import read_state
from pipeline.settings import fleet as fleet_settings
from pipeline.settings.environment import FLEET_URL, Environment
from tests.support.clocks import START
from tests.support.postgres import Databases


@contextmanager
def serving_text(text: bytes) -> Iterator[int]:
    """Answer each connection with a text, and yield the port."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            self.request.sendall(text)

    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


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

        found = error(f"postgresql://me:s3cret@{where}")
        problem = found.problem

    assert f"PostgreSQL at {where} cannot be reached" in problem
    assert "refused" in problem
    assert "host and port" in str(found.remedy)


@pytest.mark.parametrize(
    "url",
    ["s3cret", "postgresql://me:s3cret@[::1/x", "postgresql://me@h/x?password=a&s3cret"],
)
def test_a_url_that_is_none_is_not_repeated(url: str) -> None:
    assert "PIPELINE_FLEET_URL" in error(url).problem


def test_an_unknown_parameter_is_named_without_its_value() -> None:
    refused = error("postgresql://me@h/x?connect_timeout=1&sslmod=s3cret")
    assert isinstance(refused, FleetRefused)
    assert "'sslmod'" in refused.problem


@pytest.mark.parametrize("name", ["sslmode", "connect_timeout", "keepalives_idle", "ssl_min_protocol_version"])
def test_a_parameter_with_an_invalid_value_is_named_without_it(name: str) -> None:
    refused = error(f"postgresql://me@127.0.0.1:9/x?{name}=s3cret")
    assert isinstance(refused, FleetRefused)
    assert f": {name} has" in refused.problem


def test_what_answers_and_is_not_postgresql_may_be_gone_later() -> None:
    with serving_text(b"HTTP/1.0 400 Bad Request\r\n\r\n") as port:
        found = error(f"postgresql://me:s3cret@127.0.0.1:{port}/x")

    assert not isinstance(found, FleetRefused)
    assert "port" in str(found.remedy)


@settings(max_examples=60)
@given(
    st.text(alphabet=st.sampled_from("QXZ7@:/?#%&=+,[] \\'\u00e9"), min_size=6, max_size=24),
    st.booleans(),
    st.sampled_from(
        ["me:{}@127.0.0.1:{}/fleet", "me:{}@127.0.0.1:{}/fleet?sslmod=x", "127.0.0.1:{1}/fleet?password={0}"]
    ),
)
def test_no_message_shows_any_part_of_a_password(password: str, is_escaped: bool, form: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = "postgresql://" + form.format(
            quote(password, safe="") if is_escaped else password, taken.getsockname()[1]
        )
        with pytest.raises(Trouble) as raised, connected(str(fleet_settings.fleet_url(Environment({FLEET_URL: url})))):
            pass
    message = f"{raised.value} {raised.value.remedy}"
    assert not [part for at in range(len(password) - 5) if (part := password[at : at + 6]) in message]


def test_a_database_without_a_fleet_is_refused_with_the_remedy(postgres: Databases) -> None:
    with postgres.empty() as url, pytest.raises(NoFleet) as raised, connected(url) as db:
        read_state(db)

    assert raised.value.exit_code == ExitCode.REFUSED
    assert "pipeline fleet init" in str(raised.value.remedy)


@pytest.mark.parametrize(
    ("user", "remedy"),
    [("passworded:s3cret", "password"), ("passworded", "needs a password"), ("nobody_here:s3cret", "create it")],
)
def test_a_server_that_refuses_the_user_is_of_no_use_until_that_is_changed(
    postgres: Databases, user: str, remedy: str
) -> None:
    with postgres.empty() as url, connected(url) as db:
        db.execute("DROP ROLE IF EXISTS passworded")
        db.execute("CREATE ROLE passworded LOGIN PASSWORD 'another'")
        refused = error(url.replace("postgres@", f"{user}@"))
    assert isinstance(refused, FleetRefused)
    assert remedy in str(refused.remedy)


@pytest.mark.parametrize("of_whom", ["ROLE {role}", "DATABASE {database}"])
def test_a_server_that_is_full_is_worth_trying_again(postgres: Databases, of_whom: str) -> None:
    with postgres.empty() as url, connected(url) as db:
        db.execute("DROP ROLE IF EXISTS crowded")
        db.execute("CREATE ROLE crowded LOGIN")
        database = url.rpartition("/")[2]
        db.execute(f"ALTER {of_whom.format(role='crowded', database=database)} CONNECTION LIMIT 0".encode())
        refused = error(url.replace("postgres@", "crowded@"))
    assert not isinstance(refused, FleetRefused)
    assert "allow more" in str(refused.remedy)


@pytest.mark.parametrize(
    "setting",
    ["datestyle = 'German'", "intervalstyle = 'iso_8601'", "client_encoding = 'LATIN1'", "timezone = 'Asia/Tokyo'"],
)
def test_instants_and_texts_are_those_of_postgresql_whatever_it_is_set_to(fleet_url: str, setting: str) -> None:
    query = b"SELECT '2026-03-14 18:30:00Z'::timestamptz, '1 day 2 hours'::interval, 'caf\xc3\xa9 \xe6\x97\xa5'"
    with connected(fleet_url) as db:
        db.execute(f"ALTER DATABASE {fleet_url.rpartition('/')[2]} SET {setting}".encode())
    with connected(fleet_url) as db:
        assert db.execute(query).fetchone() == (START, timedelta(days=1, hours=2), "caf\u00e9 \u65e5")


def test_a_database_that_is_missing_is_said_with_the_remedy(postgres: Databases) -> None:
    refused = error(postgres.server.url("missing"))
    assert isinstance(refused, FleetRefused)
    assert "pipeline fleet init" in str(refused.remedy)


def test_a_standby_takes_no_writes_and_is_worth_trying_again(fleet_url: str) -> None:
    standby = f"{fleet_url}?options=-c%20default_transaction_read_only%3Don"
    refused = error(standby, b"INSERT INTO fleet.keys (id, name) VALUES ('k', 'one')")
    assert not isinstance(refused, FleetRefused)
    assert "target_session_attrs" in str(refused.remedy)


def test_a_schema_of_another_version_is_no_failure_to_connect(fleet_url: str) -> None:
    refused = error(fleet_url, b"SELECT fleet.of_another_version()")
    assert isinstance(refused, FleetRefused)
    assert "update" in str(refused.remedy)


def test_what_is_reserved_or_logged_survives_a_crash_whatever_the_server_is_set_to(fleet_url: str) -> None:
    with connected(fleet_url) as db:
        assert db.execute("SHOW synchronous_commit").fetchone() == ("off",)
        for statement in (b"SELECT fleet.lock_key('k')", b"SELECT fleet.lock_head()"):
            db.execute("INSERT INTO fleet.keys (id, name) VALUES ('k', 'one') ON CONFLICT DO NOTHING")
            with db.transaction():
                db.execute(statement)
                assert db.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_the_server_frees_what_a_client_that_is_cut_off_holds(fleet_url: str) -> None:
    with connected(fleet_url) as db:
        settings = [
            db.execute(f"SHOW {name}".encode()).fetchone() for name in ("tcp_user_timeout", "statement_timeout")
        ]
    assert settings == [("8000",), ("15s",)]


async def test_a_statement_about_all_symbols_may_take_longer(pool: Pool) -> None:
    query = "SELECT current_setting('statement_timeout')"
    assert await fetch(pool, query, patience=PATIENCE_FOR_ALL) == [("5min",)]
    assert await fetch(pool, query) == [("15s",)]


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
