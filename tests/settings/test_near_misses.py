"""Near misses: a variable that has no effect is named with the one that was meant; those of other programs are not."""

import pytest

from pipeline.settings.environment import API_KEY, API_KEY_FILE, NOTIFY_URLS, PING_URL, Environment
from pipeline.settings.near_misses import misnamed_key, misspelt_variables, no_symbols, unread_variables
from pipeline.settings.schema import KEYS


def test_the_variables_of_secrets_are_known_and_their_misspellings_reported() -> None:
    assert list(misspelt_variables([NOTIFY_URLS, PING_URL, "PIPELINE_CONFIG"])) == []
    (warning,) = misspelt_variables(["PIPELINE_NOTIFY_URL"])
    assert warning.startswith("PIPELINE_NOTIFY_URL ")
    assert "PIPELINE_NOTIFY_URLS?" in warning


def test_an_unknown_key_in_a_variable_is_reported() -> None:
    (warning,) = misspelt_variables(["PIPELINE_SOURCE__PORT", "PIPELINE_SOURCE__PLAN", "PIPELINE_ENV", "HOME"])

    assert warning.startswith("PIPELINE_SOURCE__PORT ")
    assert "pipeline config" in warning


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PIPELINE_PLAN", "PIPELINE_SOURCE__PLAN"),
        ("PIPELINE_STALE_AFTER_HOURS", "PIPELINE_STATUS__STALE_AFTER_HOURS"),
        ("PIPELINE_SOURCE_PLAN", "PIPELINE_SOURCE__PLAN"),
        ("pipeline_source__plan", "PIPELINE_SOURCE__PLAN"),
        ("PIPELINE_SOURCE__PLANN", "PIPELINE_SOURCE__PLAN"),
        ("PIPELINE_SYMBOLS", "PIPELINE_SYMBOLS__LIST"),
        ("PIPELINE_LIST", "PIPELINE_SYMBOLS__LIST"),
        ("PIPELINE_FILE", "PIPELINE_SYMBOLS__FILE"),
        ("PIPELINE_CRON", "PIPELINE_SCHEDULE__CRON"),
        ("PIPELINE_PING_URLS", "PIPELINE_PING_URL"),
        ("PIPELINE_API_KEY", API_KEY),
        ("PIPELINE_DATABASES", "PIPELINE_DATABASE"),
    ],
)
def test_the_variable_that_was_meant_is_named(name: str, meant: str) -> None:
    assert list(misspelt_variables([name])) == [f"{name} has no effect: did you mean {meant}?"]


def test_no_key_without_its_table_is_passed_over_in_silence() -> None:
    names = {f"PIPELINE_{key.rpartition('.')[2].upper()}" for key in KEYS if "." in key}

    assert all(meant is not None for _, meant in unread_variables(names))


@pytest.mark.parametrize(
    ("name", "meant"), [("PIPELINE_SYMBOLS", "PIPELINE_SYMBOLS__LIST"), ("PIPELINE_FILE", "PIPELINE_SYMBOLS__FILE")]
)
def test_where_there_are_no_symbols_the_variable_that_seems_to_hold_them_is_named(name: str, meant: str) -> None:
    error = no_symbols(Environment({name: "x", "PIPELINE_PLAN": "free"}), "list some")

    assert str(error) == f"no symbols: {name} is set, which is not read; rename it to {meant}"
    assert str(no_symbols(Environment({"PIPELINE_PLAN": "free"}), "list some")) == "no symbols: list some"


@pytest.mark.parametrize("name", ["PIPELINE_ENV", "PIPELINE_PORT_8080_TCP", "PIPELINE_SERVICE_HOST"])
def test_a_variable_of_another_program_is_only_listed(name: str) -> None:
    assert list(misspelt_variables([name])) == []
    assert list(unread_variables([name])) == [(name, None)]


def test_variables_without_the_prefix_are_nobodys_business() -> None:
    assert list(unread_variables(["HOME", "PLAN", "SOURCE__PLAN", API_KEY])) == []


@pytest.mark.parametrize(
    "name",
    [
        "ALPHA_VANTAGE_API_KEY",
        "ALPHAVANTAGE_KEY",
        "ALPHAVANTAGE_APIKEY",
        "ALPHAVANTAGE_API_TOKEN",
        "ALPHA_VANTAGE_TOKEN",
        "AlphaVantage",
        "alphavantage_api_key",
        "AV_API_KEY",
        "AV_KEY",
        "PIPELINE_API_KEY",
        "ALPHAVANTGE_API_KEY",
        "ALPHAVANTAGE_API_KEYS",
    ],
)
def test_a_key_under_another_name_is_found(name: str) -> None:
    assert misnamed_key(Environment({name: "x"})) == (name, API_KEY)
    assert misnamed_key(Environment({name: "x"}, from_dotenv=frozenset({name}))) == (f".env: {name}", API_KEY)
    assert misnamed_key(Environment({name: " "})) is None


def test_a_key_file_under_another_name_is_found() -> None:
    assert misnamed_key(Environment({"ALPHA_VANTAGE_API_KEY_FILE": "x"})) == (
        "ALPHA_VANTAGE_API_KEY_FILE",
        API_KEY_FILE,
    )


@pytest.mark.parametrize("name", ["AVAILABLE_KEYS", "API_KEY", "OPENAI_API_KEY", "AV", "PIPELINE", "ALPHA", API_KEY])
def test_other_names_are_not_taken_for_the_key(name: str) -> None:
    assert misnamed_key(Environment({name: "x"})) is None
