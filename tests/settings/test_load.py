"""Loading: the configuration is found, checked whole, and refused in one line that names place and remedy."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.model.symbols import Symbol
from pipeline.quota.limits import PLANS, Limit
from pipeline.schedule.cron import Schedule
from pipeline.settings.environment import (
    Environment,
    with_dotenv,
)
from pipeline.settings.load import load
from tests.support.configurations import NO_VARIABLES, Configured, refusal


def test_an_unknown_plan_is_refused_and_the_nearest_named(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\nplan = "fre"'))

    assert "pipeline.toml: source.plan: " in line
    assert "'fre'" in line
    assert ": free, premium-75, premium-150" in line
    assert line.endswith("free?")


@pytest.mark.parametrize("key", ["odd-key-9", "ABCDEFGH12345678"])
def test_a_secret_that_is_set_is_in_no_error_and_no_notice(configured: Configured, tmp_path: Path, key: str) -> None:
    line = refusal(lambda: configured(f'[source]\nplan = "{key}"', ALPHAVANTAGE_API_KEY=key))

    assert "source.plan: unknown plan '***'" in line
    (tmp_path / "names.csv").write_text(f"symbol,name\nIBM,x\nmy {key},y\n")
    notices = configured('[symbols]\nfile = "names.csv"', ALPHAVANTAGE_API_KEY=key).notices
    assert "'my ***'" in notices[1]


@pytest.mark.parametrize("symbol", ["ODD-KEY-9", "odd-key-9", "ABCDEFGH12345678", "abcdefgh12345678"])
def test_a_key_among_the_symbols_is_refused(configured: Configured, symbol: str) -> None:
    line = refusal(lambda: configured(f'[symbols]\nlist = ["{symbol}"]', ALPHAVANTAGE_API_KEY="odd-key-9"))

    assert "looks like an API key" in line
    assert symbol not in line


def test_an_unknown_plan_that_resembles_none_is_refused_with_all_plans(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\nplan = "gold"'))

    assert "'gold'" in line
    assert ": free, premium-75, premium-150" in line
    assert "?" not in line


def test_a_limit_over_an_unknown_period_is_refused_with_the_known_ones(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\nlimits = ["25/fortnight"]'))

    assert "pipeline.toml: source.limits: " in line
    assert "'25/fortnight'" in line
    assert "second, minute, hour, day" in line


@pytest.mark.parametrize(
    "text", ["0/day", "-1/day", "25", "25/", "/day", "1.5/day", "25 per day", "9999999999/day", ""]
)
def test_an_invalid_limit_is_refused(configured: Configured, text: str) -> None:
    line = refusal(lambda: configured(f"[source]\nlimits = {json.dumps([text])}"))

    assert "source.limits: " in line
    assert repr(text) in line


def test_plan_and_limits_both_in_the_file_contradict_each_other(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\nplan = "free"\nlimits = ["25/day"]'))

    assert "source.plan and source.limits" in line


def test_plan_and_limits_both_in_the_environment_contradict_each_other(configured: Configured) -> None:
    variables = {"PIPELINE_SOURCE__PLAN": "free", "PIPELINE_SOURCE__LIMITS": "[]"}

    assert "source.plan and source.limits" in refusal(lambda: configured(**variables))


def test_limits_in_the_environment_override_a_plan_in_the_file(configured: Configured) -> None:
    settings = configured('[source]\nplan = "free"', PIPELINE_SOURCE__LIMITS='["75/minute", "5/second"]')

    assert settings.limits == (Limit.parse("75/minute"), Limit.parse("5/second"))


def test_a_plan_in_the_environment_overrides_limits_in_the_file(configured: Configured) -> None:
    settings = configured('[source]\nlimits = ["1/day"]', PIPELINE_SOURCE__PLAN="premium-75")

    assert settings.limits == PLANS["premium-75"]


def test_a_plan_in_the_environment_overrides_limits_in_the_dotenv(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text('PIPELINE_SOURCE__LIMITS=["1/day"]\n')

    settings = load(None, with_dotenv({"PIPELINE_SOURCE__PLAN": "premium-75"}, dotenv), database=tmp_path / "a.db")

    assert settings.limits == PLANS["premium-75"]


def test_an_empty_list_of_limits_means_none(configured: Configured) -> None:
    assert configured("[source]\nlimits = []").limits == ()


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 feb *", "0 0 */30 2 1#5"])
def test_a_cron_line_that_never_fires_is_refused(configured: Configured, line: str) -> None:
    assert f"schedule.cron: cron line {line!r}" in refusal(lambda: configured(f"[schedule]\ncron = {line!r}"))


def test_an_unknown_time_zone_is_refused_with_an_example(configured: Configured) -> None:
    line = refusal(lambda: configured('[schedule]\ntimezone = "New York"'))

    assert "schedule.timezone: unknown time zone 'New York'" in line
    assert "America/New_York" in line


def test_a_single_schedule_is_a_table(configured: Configured) -> None:
    text = '[schedule]\ncron = "@daily"\ntimezone = "UTC"\ncatch_up_hours = 0.5\nsymbols = ["ko", "PEP"]'

    (schedule,) = configured(text).schedules

    assert schedule == Schedule("@daily", "UTC", timedelta(minutes=30), (Symbol("KO"), Symbol("PEP")))


def test_several_schedules_are_tables_each_with_its_defaults(configured: Configured) -> None:
    settings = configured('[[schedule]]\ntimezone = "UTC"\n[[schedule]]\ncron = "0 9 * * *"\nsymbols = ["KO"]')

    assert settings.schedules == (
        Schedule("30 18 * * mon-fri", "UTC", timedelta(hours=36), None),
        Schedule("0 9 * * *", "America/New_York", timedelta(hours=36), (Symbol("KO"),)),
    )


def test_the_symbols_of_a_schedule_may_be_in_a_file_beside_the_configuration(
    configured: Configured, tmp_path: Path
) -> None:
    (tmp_path / "few.txt").write_text("KO\nPEP\n")

    settings = configured('[schedule]\nsymbols = ["PEP"]\nsymbols_file = "few.txt"')

    assert settings.schedules[0].symbols == ("PEP", "KO")
    assert settings.notices == ("schedule: duplicate symbols ignored: PEP",)


def test_all_symbols_are_those_listed_and_those_that_only_a_schedule_names(configured: Configured) -> None:
    settings = configured(
        '[symbols]\nlist = ["AAPL", "MSFT"]\n[[schedule]]\nsymbols = ["KO", "MSFT"]\n'
        '[[schedule]]\ncron = "@daily"\n[[schedule]]\ncron = "@weekly"\nsymbols = ["PEP", "KO"]'
    )

    assert settings.symbols == ("AAPL", "MSFT")
    assert settings.all_symbols == ("AAPL", "MSFT", "KO", "PEP")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("crn = 'x'", "schedule[2].crn: "),
        ("crn = 'x'", "schedule.cron?"),
        ("api_key = 'S3CR3T'", "schedule[2].api_key: "),
        ("api_key = 'S3CR3T'", "ALPHAVANTAGE_API_KEY"),
        ("cron = 1", "schedule[2].cron: must be a text"),
        ("cron = '0 0 30 2 *'", "schedule[2].cron: cron line '0 0 30 2 *' never fires"),
        ("timezone = 'Nowhere'", "schedule[2].timezone: unknown time zone 'Nowhere'"),
        ("catch_up_hours = -1", "schedule[2].catch_up_hours: must be a number from 0"),
        ("symbols = 'KO'", 'schedule[2].symbols: must be a list of texts, such as ["AAPL"'),
        ("symbols = ['K O']", "schedule[2].symbols: "),
        ("symbols = []", "schedule[2].symbols: "),
        ("symbols_file = 'absent.txt'", "schedule[2].symbols_file: "),
        ("", "schedule[1] and schedule[2] are both 30 18 * * mon-fri America/New_York"),
        ("cron = ' 30  18 * * MON-FRI'\nsymbols = ['KO']", "schedule[1] and schedule[2] are both 30 18 "),
    ],
)
def test_an_error_in_one_of_several_schedules_names_which(configured: Configured, table: str, why: str) -> None:
    line = refusal(lambda: configured(f"[[schedule]]\n[[schedule]]\n{table}"))

    assert "pipeline.toml: " in line
    assert why in line
    assert "S3CR3T" not in line


def test_a_named_configuration_must_exist(tmp_path: Path) -> None:
    line = refusal(lambda: load(tmp_path / "absent.toml", NO_VARIABLES))

    assert "absent.toml: cannot be read (no such file or directory)" in line
    assert "pipeline init" in line


def test_a_configuration_named_by_a_variable_must_exist(tmp_path: Path) -> None:
    variables = Environment({"PIPELINE_CONFIG": str(tmp_path / "absent.toml")})

    assert "absent.toml: cannot be read" in refusal(lambda: load(None, variables))


def test_the_default_name_must_exist_if_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert "cannot be read" in refusal(lambda: load(Path("config/pipeline.toml"), NO_VARIABLES))


def test_without_a_configuration_the_database_is_in_the_users_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))

    settings = load(None, NO_VARIABLES)

    assert settings.config is None
    assert tmp_path in settings.database.parents
    assert settings.database.name == "overviews.db"
    assert settings.limits == PLANS["free"]


def test_the_configuration_in_its_default_place_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('database = "here.db"')

    settings = load(None, NO_VARIABLES)

    assert settings.config == Path("config/pipeline.toml")
    assert settings.database == Path("here.db")


def test_the_option_comes_before_the_variable(tmp_path: Path) -> None:
    for name in ("option", "variable"):
        (tmp_path / f"{name}.toml").write_text(f'database = "{name}.db"')

    settings = load(tmp_path / "option.toml", Environment({"PIPELINE_CONFIG": str(tmp_path / "variable.toml")}))

    assert settings.database == Path("option.db")


def test_the_symbol_file_is_beside_the_configuration_and_the_database_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "mine.toml").write_text('database = "data/x.db"\n[symbols]\nfile = "names.txt"')
    (tmp_path / "config" / "names.txt").write_text("AAPL")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    settings = load(tmp_path / "config" / "mine.toml", NO_VARIABLES)

    assert settings.symbols == ("AAPL",)
    assert settings.database == Path("data/x.db")


@pytest.mark.parametrize("text", [".", "/", "a\\u0000b"])
def test_a_path_without_a_file_name_is_refused(configured: Configured, text: str) -> None:
    assert "is not the path of a file" in refusal(lambda: configured(f'database = "{text}"'))


def test_a_database_whose_name_is_too_long_for_the_disk_is_refused(configured: Configured) -> None:
    assert "database: " in refusal(lambda: configured(f'database = "{"x" * 300}"'))


def test_the_home_of_an_unknown_user_is_refused(configured: Configured) -> None:
    assert "cannot be used (no such user" in refusal(lambda: configured('database = "~nobody-of-this-name/x.db"'))


def test_a_tilde_is_the_users_home(configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert configured('database = "~/x.db"').database == tmp_path / "x.db"


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_database_in_a_folder_that_we_may_not_search_is_refused(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o000)

    assert "cannot be used (permission denied)" in refusal(
        lambda: configured(f'database = "{tmp_path / "theirs" / "x.db"}"')
    )


def test_symbols_are_upper_case(configured: Configured) -> None:
    assert configured('[symbols]\nlist = ["aapl", "brk-b"]').symbols == ("AAPL", "BRK-B")


@pytest.mark.parametrize(
    "name",
    [
        "A B",
        "../x",
        "",
        "-",
        "A\\u001b[31m",
        "A\\nB",
        "A\\u0000",
        "\\u00c4PPL",
        "\\uff21",
        "A'B",
        "A" * 33,
        "A&",
        "&A",
        "US0378331005",
    ],
)
def test_an_invalid_symbol_is_refused_by_its_place(configured: Configured, name: str) -> None:
    line = refusal(lambda: configured(f'[symbols]\nlist = ["{name}"]'))

    assert "pipeline.toml: symbols.list: " in line
    assert line.isprintable()
