"""The fleet: what makes this machine a member of one, under which name, and where its PostgreSQL is."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings.environment import FLEET_URL, FLEET_URL_FILE, Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import Fleet, fleet_url, needed_fleet_url
from tests.support.configurations import NO_VARIABLES, Configured, origins, refusal

URL = "postgresql://me:S3CR3T@db.example:5432/fleet?sslmode=require"


def test_a_machine_is_in_no_fleet_unless_it_says_so(configured: Configured) -> None:
    assert configured().fleet is None
    assert configured(**{FLEET_URL: " "}).fleet is None
    assert fleet_url(NO_VARIABLES) is None
    assert fleet_url(Environment({FLEET_URL: ""})) is None


def test_the_url_alone_makes_a_machine_a_member_and_so_does_an_empty_table(configured: Configured) -> None:
    for settings in (configured(**{FLEET_URL: URL}), configured("[fleet]"), configured(**{FLEET_URL_FILE: "/x"})):
        assert settings.fleet is not None
        assert settings.fleet.name
        assert len(settings.plans) == 1


def test_a_member_has_the_name_of_its_host_unless_it_is_given_one(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "-Anna's laptop.lan.")

    assert configured("[fleet]").fleet == Fleet("Anna-s-laptop.lan")
    assert origins(configured("[fleet]"))["fleet.name"] == "default: this machine's name"
    assert configured('[fleet]\nname = "north-1"').fleet == Fleet("north-1")
    assert configured(PIPELINE_FLEET__NAME="south").fleet == Fleet("south")


@pytest.mark.parametrize("name", ["a b", "-a", "a/b", "n\u00f6rd", "x" * 101])
def test_an_invalid_name_is_refused(configured: Configured, name: str) -> None:
    assert "fleet.name: invalid name" in refusal(lambda: configured(f'[fleet]\nname = "{name}"'))


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "postgres://db/fleet",
        "postgresql:///fleet?host=/run/postgresql",
        "postgresql://a:1,b:2/fleet?target_session_attrs=read-write",
        "postgresql://me:p%40ss%2Fword@[::1]:5432/fleet",
        "postgresql://me@%2Frun%2Fpostgresql:5433/fleet",
    ],
)
def test_a_url_of_postgresql_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    (tmp_path / "url").write_text(f"{url}\n")

    assert fleet_url(Environment({FLEET_URL: f" {url}\n"})) == url
    assert needed_fleet_url(Environment({FLEET_URL_FILE: str(tmp_path / "url")})) == url


@pytest.mark.parametrize(
    "url",
    [
        "S3CR3T",
        "host=db password=S3CR3T",
        "https://me:S3CR3T@db/fleet",
        "postgresql://me:S3CR3T @db/fleet",
        "postgresql://me:S3CR3T/x@db/fleet",
        "postgresql://me:S3CR3T#x@db/fleet",
        "postgresql://me:S3CR3T\u00e9@db/fleet",
        "postgresql://[me:S3CR3T@db/fleet",
        "postgresql://me:secret@S3CR3T@db/fleet",
        "postgresql://me:secret@S3CR3T@db:5432/fleet?sslmode=require",
        "postgresql://me:12?S3CR3T@db/fleet",
        "postgresql://me:50%S3CR3T@db/fleet",
        "postgresql://me:S3CR3T/fleet",
        "postgresql://",
    ],
)
def test_an_invalid_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        fleet_url(Environment({FLEET_URL: url}, from_dotenv=frozenset({FLEET_URL})))

    assert str(refused.value).startswith(f".env: {FLEET_URL}: invalid URL")
    assert "S3CR3T" not in str(refused.value)


def test_the_url_as_a_key_of_the_configuration_is_refused_rather_than_ignored() -> None:
    """A machine that collected for itself would use the fleet's keys without asking."""
    line = refusal(lambda: fleet_url(Environment({"PIPELINE_FLEET__URL": URL})))

    assert f"rename it to {FLEET_URL}" in line
    assert "S3CR3T" not in line


def test_a_member_without_the_url_is_told_the_variable() -> None:
    assert f"{FLEET_URL} is not set" in refusal(lambda: needed_fleet_url(NO_VARIABLES))


@given(st.text(max_size=40) | st.text(st.sampled_from("ab:/@?[]#,% \n"), max_size=40).map("postgresql://".__add__))
def test_any_text_is_accepted_or_refused_as_a_url(text: str) -> None:
    try:
        url = fleet_url(Environment({FLEET_URL: text}))
    except SettingsError:
        return
    assert url is None or (url.isprintable() and " " not in url)
