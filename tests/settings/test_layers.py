"""Layers: the command line overrides the environment, the file and the default; each value has its origin."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.settings.environment import (
    Environment,
    with_dotenv,
)
from pipeline.settings.load import Settings, load
from pipeline.settings.schema import KEYS, SETTABLE
from tests.support.configurations import NO_VARIABLES, Configured, loaded_or_refused, origins, refusal


def test_the_environment_overrides_dotenv_which_overrides_the_file_which_overrides_the_default(
    tmp_path: Path, configured: Configured
) -> None:
    (tmp_path / ".env").write_text("PIPELINE_COLLECT__ATTEMPTS=4\nPIPELINE_COLLECT__WAIT_SECONDS=4\n")
    config = tmp_path / "pipeline.toml"
    config.write_text("[collect]\nattempts = 5\nwait_seconds = 5\nfresh_for_hours = 5\n")
    variables = with_dotenv({"PIPELINE_COLLECT__ATTEMPTS": "6"}, tmp_path / ".env")

    settings = load(config, variables)

    assert settings.attempts == 6
    assert settings.wait == timedelta(seconds=4)
    assert settings.fresh_for == timedelta(hours=5)
    assert settings.stale_after == timedelta(hours=72)
    assert origins(settings)["collect.attempts"] == "PIPELINE_COLLECT__ATTEMPTS"
    assert origins(settings)["collect.wait_seconds"] == ".env: PIPELINE_COLLECT__WAIT_SECONDS"
    assert origins(settings)["collect.fresh_for_hours"] == str(config)
    assert origins(settings)["status.stale_after_hours"] == "default"


def test_the_command_line_overrides_the_environment(configured: Configured, tmp_path: Path) -> None:
    settings = load(None, Environment({"PIPELINE_DATABASE": "b.db"}), database=Path("a.db"))

    assert settings.database == Path("a.db")
    assert origins(settings)["database"] == "--database"


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("PIPELINE_DATABASE", "x.db", "database", "x.db"),
        ("PIPELINE_COLLECT__CONTINUE", "false", "collect.continue", False),
        ("PIPELINE_COLLECT__CONTINUE", "1", "collect.continue", True),
        ("PIPELINE_COLLECT__ATTEMPTS", "7", "collect.attempts", 7),
        ("PIPELINE_SOURCE__TIMEOUT_SECONDS", "2.5", "source.timeout_seconds", 2.5),
        ("PIPELINE_SYMBOLS__LIST", '["aapl"]', "symbols.list", ["aapl"]),
        ("PIPELINE_SOURCE__LIMITS", "[]", "source.limits", []),
        ("PIPELINE_SOURCE__PLAN", "premium-75", "source.plan", "premium-75"),
    ],
)
def test_a_variable_sets_the_value_at_its_path(
    configured: Configured, variable: str, text: str, path: str, value: object
) -> None:
    settings = configured(**{variable: text})

    assert {setting.path: setting.value for setting in settings.values}[path] == value


@pytest.mark.parametrize(
    ("variable", "text", "why"),
    [
        ("PIPELINE_COLLECT__CONTINUE", "maybe", "must be true or false"),
        ("PIPELINE_COLLECT__ATTEMPTS", "4.5", "must be a whole number"),
        ("PIPELINE_COLLECT__ATTEMPTS", "0", "must be a whole number from 1"),
        ("PIPELINE_COLLECT__WAIT_SECONDS", "nan", "must be a number from 0"),
        ("PIPELINE_SOURCE__LIMITS", "25/day", "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", '["25/day"', "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", '{"a": 1}', "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", "null", "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", "[25]", 'such as ["25/day"]'),
        ("PIPELINE_SYMBOLS__LIST", "AAPL", '["AAPL", "MSFT"]'),
        ("PIPELINE_SOURCE__PLAN", "fre", "free?"),
        ("PIPELINE_DATABASE", "", "not empty"),
    ],
)
def test_an_invalid_value_of_a_variable_is_refused_by_its_name(
    configured: Configured, variable: str, text: str, why: str
) -> None:
    line = refusal(lambda: configured(**{variable: text}))

    assert line.startswith(f"{variable}: ")
    assert why in line


def test_other_variables_of_the_prefix_are_ignored(configured: Configured) -> None:
    assert configured(PIPELINE_ENV="prod", PIPELINE_PING_URL="x", PIPELINE_SOURCE__PORT="1") == configured()


def test_a_variable_overrides_the_single_schedule(configured: Configured) -> None:
    settings = configured('[schedule]\ncron = "@daily"', PIPELINE_SCHEDULE__SYMBOLS='["KO"]')

    assert str(settings.schedules[0]) == "0 0 * * * America/New_York"
    assert settings.schedules[0].symbols == ("KO",)


@pytest.mark.parametrize("variable", ["PIPELINE_SCHEDULE__CRON", "PIPELINE_SCHEDULE__SYMBOLS_FILE"])
def test_a_variable_for_one_of_several_schedules_is_refused(configured: Configured, variable: str) -> None:
    line = refusal(lambda: configured("[[schedule]]", **{variable: "@daily"}))

    assert line.startswith(f"{variable}: ")
    assert "pipeline.toml has [[schedule]] tables" in line


def test_the_values_of_several_schedules_count_from_1_table_by_table(configured: Configured, tmp_path: Path) -> None:
    settings = configured('[[schedule]]\ntimezone = "UTC"\n[[schedule]]\ncron = "0 9 * * *"')

    paths = [setting.path for setting in settings.values if setting.path.startswith("schedule")]
    keys = ["cron", "timezone", "catch_up_hours", "symbols", "symbols_file"]
    assert paths == [f"schedule[{number}].{key}" for number in (1, 2) for key in keys]
    assert origins(settings)["schedule[1].cron"] == "default"
    assert origins(settings)["schedule[2].cron"] == str(tmp_path / "pipeline.toml")


@given(
    key=st.sampled_from(sorted(KEYS)),
    value=st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: json.dumps(text, ensure_ascii=False)),
        st.integers().map(str),
        st.floats().map(lambda number: str(number).replace("e", "E")),
        st.booleans().map(lambda truth: str(truth).lower()),
        st.lists(st.text(st.characters(codec="ascii"), max_size=8)).map(json.dumps),
        st.dates().map(str),
        st.datetimes().map(lambda at: at.isoformat()),
        st.times().map(str),
        st.just("{a = 1}"),
    ),
)
@example(key="collect.attempts", value="9" * 5000)
@example(key="symbols.list", value="[" * 5000)
@example(key="database", value='"~nobody-of-this-name/x.db"')
@example(key="database", value=json.dumps("x" * 300))
@example(key="symbols.file", value='"a\\u0000b"')
@example(key="schedule.timezone", value='"../../etc/passwd"')
@example(key="symbols.file", value='"\\n"')
@example(key="schedule.symbols_file", value='"\\n"')
def test_any_value_of_any_key_is_accepted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(f"{key} = {value}\n", encoding="utf-8")

    taken = loaded_or_refused(path, NO_VARIABLES)

    assert "\n" not in taken if isinstance(taken, str) else taken.database.name


@given(
    key=st.sampled_from(sorted(SETTABLE)),
    value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
)
@example(key="symbols.list", value="[\udcff]")
@example(key="source.limits", value="[" * 50_000)
@example(key="database", value="\udcff.db")
@example(key="source.plan", value="null")
def test_any_value_of_any_variable_is_accepted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "empty.toml"
    path.touch()
    variable = f"PIPELINE_{key.upper().replace('.', '__')}"

    taken = loaded_or_refused(path, Environment({variable: value}))

    assert isinstance(taken, Settings) or variable in taken or key in ("symbols.file", "schedule.symbols_file")
