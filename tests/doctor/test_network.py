"""Checks of the network: what the host answered, or why not, and how far the clock is off."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.api.reachability import Answer, Reason
from pipeline.api.server_time import MOST_OFF
from pipeline.doctor.checkup import findings
from pipeline.doctor.findings import Finding, Level, exit_code
from pipeline.errors import ExitCode
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment, with_dotenv
from pipeline.settings.load import Settings
from tests.support.checkups import KEYED
from tests.support.clocks import START


def checked(
    settings: Settings, network: Answer | Reason | None, variables: Environment = KEYED
) -> dict[Kind, list[Finding]]:
    found = findings(settings, variables, now=START, thorough=False, network=network)
    return {kind: [one for one in found if one.check is kind] for kind in (Kind.NETWORK, Kind.CLOCK)}


def answer(ahead: float | None) -> Answer:
    return Answer(404, timedelta(milliseconds=123), None if ahead is None else timedelta(seconds=ahead))


def test_that_it_was_not_tried_is_noted(settings: Settings) -> None:
    (found,) = checked(settings, None)[Kind.NETWORK]

    assert found.level is Level.NOTE
    assert found.found == "network not tried"
    assert "--online" in str(found.remedy)


def test_an_answer_is_fine_whatever_its_status(settings: Settings) -> None:
    (found,) = checked(settings, answer(0.2))[Kind.NETWORK]

    assert found.level is Level.OK
    assert found.found == "www.alphavantage.co answers over TLS, in 123 ms, with status 404"


def test_why_there_is_no_connection_is_a_problem_with_its_remedy(settings: Settings) -> None:
    (found,) = checked(settings, Reason("its certificate has expired", "renew it"))[Kind.NETWORK]

    assert found == Finding(Kind.NETWORK, Level.PROBLEM, "www.alphavantage.co: its certificate has expired", "renew it")
    assert exit_code([found]) == ExitCode.FAILED


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [
        (0.2, Level.OK, "0 s ahead of"),
        (-29.6, Level.OK, "30 s behind"),
        (31, Level.NOTE, "31 s ahead of"),
        (MOST_OFF.total_seconds(), Level.NOTE, "5 min ahead of"),
        (-MOST_OFF.total_seconds() - 1, Level.PROBLEM, "5 min behind"),
        (-7200, Level.PROBLEM, "2 h behind"),
        (365 * 86_400, Level.PROBLEM, "365 d ahead of"),
        (None, Level.NOTE, "does not say its time"),
    ],
)
def test_the_difference_of_the_clocks_is_named_and_too_much_of_it_is_a_problem(
    settings: Settings, ahead: float | None, level: Level, words: str
) -> None:
    compared, _own = checked(settings, answer(ahead))[Kind.CLOCK]

    assert compared.level is level
    assert words in compared.found
    assert ("is refused" in compared.found) == (level is Level.PROBLEM)


@pytest.mark.parametrize(
    ("named", "level", "words"),
    [
        (0.2, Level.OK, "0 s ahead of that of time.example"),
        (365 * 86_400, Level.PROBLEM, "365 d ahead of that of time.example"),
        (None, Level.PROBLEM, "time.example does not say its time"),
        ("no such host", Level.PROBLEM, "time.example: no such host"),
    ],
)
def test_where_the_api_does_not_say_its_time_the_host_that_is_named_for_it_does(
    settings: Settings, named: float | str | None, level: Level, words: str
) -> None:
    said = Reason(named, "check its name") if isinstance(named, str) else answer(named)

    compared, _own = checked(replace(settings, time_url="https://time.example"), replace(answer(None), named=said))[
        Kind.CLOCK
    ]

    assert compared.level is level
    assert words in compared.found


def test_certificates_of_ones_own_that_are_not_read_are_noted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = tmp_path / "root.pem"
    absent = Environment({**KEYED.variables, "SSL_CERT_FILE": str(bundle)})
    (tmp_path / ".env").write_text(f"SSL_CERT_FILE={bundle}")

    _, missing = sorted(checked(settings, None, absent)[Kind.NETWORK], key=lambda one: "root.pem" in one.found)
    assert "cannot be read" in missing.found
    bundle.touch()
    assert os.access(bundle, os.R_OK)
    assert len(checked(settings, None, absent)[Kind.NETWORK]) == 1
    of_file = checked(settings, None, with_dotenv(KEYED.variables, tmp_path / ".env"))[Kind.NETWORK]
    assert any("SSL_CERT_FILE has no effect" in one.found for one in of_file)
