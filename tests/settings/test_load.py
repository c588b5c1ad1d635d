"""Settings: read whole and checked, or refused in one line that names the place and the remedy."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.errors import ExitCode
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.quota.limits import PLANS, Limit
from pipeline.schedule.cron import Schedule
from pipeline.settings.addresses import Listen
from pipeline.settings.environment import (
    API_KEY,
    API_KEY_FILE,
    NOTIFY_URLS,
    PING_URL,
    Environment,
    misspelt_variables,
    with_dotenv,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings, load
from pipeline.settings.secrets import api_key, notify_urls, ping_url
from tests.support.recordings import RECORDINGS, needs_recordings

NOTHING = Environment({})
TOML_KEYS = [
    "database", "symbols.list", "symbols.file", "source.base_url", "source.plan", "source.limits", "source.concurrency",
    "source.timeout_seconds", "collect.fresh_for_hours", "collect.attempts", "collect.wait_seconds", "collect.continue",
    "schedule.cron", "schedule.timezone", "schedule.catch_up_hours", "schedule.symbols", "schedule.symbols_file",
    "status.stale_after_hours", "status.listen", "keep.outcomes_days",
]  # fmt: skip

Configured = Callable[..., Settings]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Load a configuration of this text, under these variables."""

    def read(text: str = "", **variables: str) -> Settings:
        path = tmp_path / "pipeline.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, Environment(variables))

    return read


def refusal(read: Callable[[], object]) -> str:
    """Return the one line with which a configuration is refused."""
    with pytest.raises(SettingsError) as refused:
        read()
    assert refused.value.exit_code == ExitCode.REFUSED
    line = str(refused.value)
    assert "\n" not in line
    return line


def loaded_or_refused(path: Path, variables: Environment) -> Settings | str:
    try:
        return load(path, variables)
    except SettingsError as error:
        return str(error)


def origins(settings: Settings) -> dict[str, str]:
    return {setting.path: setting.origin for setting in settings.values}


# Values


def test_what_is_not_configured_has_its_default(configured: Configured) -> None:
    settings = configured()

    assert settings.limits == PLANS["free"]
    assert settings.database == Path("data/overviews.db")
    assert settings.fresh_for == timedelta(hours=20)
    assert settings.wait == timedelta(seconds=120)
    assert settings.attempts == 3
    assert settings.resume
    assert settings.listen is None
    assert settings.outcomes_kept == timedelta(days=400)
    assert settings.schedules == (Schedule("30 18 * * mon-fri", "America/New_York", timedelta(hours=36), None),)
    assert set(origins(settings).values()) == {"default"}


def test_the_file_that_is_shipped_says_what_the_defaults_are() -> None:
    shipped = load(Path(__file__).parents[2] / "config" / "pipeline.toml", NOTHING)
    bare = {setting.path: setting.value for setting in shipped.values if setting.origin == "default"}

    settings = {setting.path: setting.value for setting in shipped.values}

    assert bare.keys() == {
        "symbols.file", "source.limits", "source.concurrency", "schedule.symbols", "schedule.symbols_file",
        "status.listen",
    }  # fmt: skip
    assert settings["source.timeout_seconds"] == 30
    assert shipped.symbols == ("AAPL", "GOOG", "TSLA", "MSFT", "PEP")


def test_an_unknown_key_is_refused_and_the_nearest_named(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\npaln = "free"'))

    assert "pipeline.toml: source.paln: " in line
    assert "source.plan?" in line


def test_an_unknown_table_is_refused_and_the_nearest_named(configured: Configured) -> None:
    line = refusal(lambda: configured('[sorce]\nplan = "free"'))

    assert "pipeline.toml: sorce: " in line
    assert "source?" in line


@pytest.mark.parametrize(
    "text",
    ['api_key = "s3cr3t"', '[source]\napikey = "s3cr3t"', '[api]\nkey = "s3cr3t"', 'ALPHAVANTAGE_API_KEY="s3cr3t"'],
)
def test_a_secret_in_the_file_is_refused_with_where_it_belongs(configured: Configured, text: str) -> None:
    line = refusal(lambda: configured(text))

    assert "secret" in line
    assert "ALPHAVANTAGE_API_KEY" in line
    assert ".env" in line
    assert "s3cr3t" not in line


def test_a_plan_that_is_none_is_refused_and_the_nearest_named(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\nplan = "fre"'))

    assert "pipeline.toml: source.plan: " in line
    assert "'fre'" in line
    assert ": free, premium-75, premium-150" in line
    assert line.endswith("free?")


def test_a_plan_like_no_other_is_refused_with_those_there_are(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\nplan = "gold"'))

    assert "'gold'" in line
    assert ": free, premium-75, premium-150" in line
    assert "?" not in line


def test_a_limit_over_no_period_is_refused_with_how_one_is_written(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\nlimits = ["25/fortnight"]'))

    assert "pipeline.toml: source.limits: " in line
    assert "'25/fortnight'" in line
    assert "second, minute, hour, day" in line


@pytest.mark.parametrize(
    "text", ["0/day", "-1/day", "25", "25/", "/day", "1.5/day", "25 per day", "9999999999/day", ""]
)
def test_what_is_no_limit_is_refused(configured: Configured, text: str) -> None:
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


def test_no_limits_means_none(configured: Configured) -> None:
    assert configured("[source]\nlimits = []").limits == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("database = 1", "database: expected str"),
        ("database = 2026-01-01", "database: expected str"),
        ('database = ""', "database: expected str of length >= 1"),
        ('[symbols]\nlist = "AAPL"', "symbols.list: expected array"),
        ("[symbols]\nlist = [1]", "symbols.list: expected str"),
        ("[source]\nconcurrency = 0", "source.concurrency: expected int >= 1"),
        ("[source]\nconcurrency = 2.5", "source.concurrency: expected int"),
        ("[source]\ntimeout_seconds = 0", "source.timeout_seconds: expected float > 0"),
        ("[collect]\nattempts = true", "collect.attempts: expected int"),
        ("[collect]\nattempts = 99999999999999999999", "collect.attempts: expected int <= 10"),
        ("[collect]\nwait_seconds = nan", "collect.wait_seconds: expected float >= 0"),
        ("[collect]\nfresh_for_hours = inf", "collect.fresh_for_hours: expected float <="),
        ('[collect]\ncontinue = "yes"', "collect.continue: expected true or false"),
        ("source = 1", "source must be a table"),
        ("[database]\npath = 1", "database: expected str"),
    ],
)
def test_a_value_of_the_wrong_type_or_size_is_refused(configured: Configured, text: str, place: str) -> None:
    assert f"pipeline.toml: {place}" in refusal(lambda: configured(text))


def test_a_refusal_repeats_no_more_of_a_wrong_value_than_fits_a_line(configured: Configured) -> None:
    assert len(refusal(lambda: configured(f"database = [{', '.join(['1'] * 5000)}]"))) < 300


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 feb *", "0 0 */30 2 1#5"])
def test_a_cron_line_that_can_never_fire_is_refused(configured: Configured, line: str) -> None:
    assert f"schedule.cron: cron line {line!r}" in refusal(lambda: configured(f"[schedule]\ncron = {line!r}"))


def test_a_bad_time_zone_is_refused_with_a_good_one(configured: Configured) -> None:
    line = refusal(lambda: configured('[schedule]\ntimezone = "New York"'))

    assert "schedule.timezone: unknown time zone 'New York'" in line
    assert "America/New_York" in line


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    key=st.sampled_from(TOML_KEYS),
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
def test_any_value_under_any_key_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(f"{key} = {value}\n", encoding="utf-8")

    taken = loaded_or_refused(path, NOTHING)

    assert "\n" not in taken if isinstance(taken, str) else taken.database.name


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    key=st.sampled_from(TOML_KEYS), value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
)
@example(key="symbols.list", value="[\udcff]")
@example(key="source.limits", value="[" * 50_000)
@example(key="database", value="\udcff.db")
@example(key="source.plan", value="null")
def test_any_value_of_any_variable_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "empty.toml"
    path.touch()
    variable = f"PIPELINE_{key.upper().replace('.', '__')}"

    taken = loaded_or_refused(path, Environment({variable: value}))

    assert isinstance(taken, Settings) or variable in taken or key in ("symbols.file", "schedule.symbols_file")


# Schedules


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


def test_the_values_of_several_schedules_count_from_1_table_by_table(configured: Configured, tmp_path: Path) -> None:
    settings = configured('[[schedule]]\ntimezone = "UTC"\n[[schedule]]\ncron = "0 9 * * *"')

    paths = [setting.path for setting in settings.values if setting.path.startswith("schedule")]
    keys = ["cron", "timezone", "catch_up_hours", "symbols", "symbols_file"]
    assert paths == [f"schedule[{number}].{key}" for number in (1, 2) for key in keys]
    assert origins(settings)["schedule[1].cron"] == "default"
    assert origins(settings)["schedule[2].cron"] == str(tmp_path / "pipeline.toml")


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
        ("cron = 1", "schedule[2].cron: expected str"),
        ("cron = '0 0 30 2 *'", "schedule[2].cron: cron line '0 0 30 2 *' never fires"),
        ("timezone = 'Nowhere'", "schedule[2].timezone: unknown time zone 'Nowhere'"),
        ("catch_up_hours = -1", "schedule[2].catch_up_hours: expected float >= 0"),
        ("symbols = 'KO'", "schedule[2].symbols: expected array"),
        ("symbols = ['K O']", "schedule[2].symbols: "),
        ("symbols = []", "schedule[2].symbols: "),
        ("symbols_file = 'absent.txt'", "schedule[2].symbols_file: "),
        ("", "schedule[1] and schedule[2] are both 30 18 * * mon-fri America/New_York"),
        ("cron = ' 30  18 * * MON-FRI'\nsymbols = ['KO']", "schedule[1] and schedule[2] are both 30 18 "),
    ],
)
def test_what_is_wrong_with_one_of_several_schedules_names_which(configured: Configured, table: str, why: str) -> None:
    line = refusal(lambda: configured(f"[[schedule]]\n[[schedule]]\n{table}"))

    assert "pipeline.toml: " in line
    assert why in line
    assert "S3CR3T" not in line


@pytest.mark.parametrize("text", ["schedule = []", "schedule = [1]", "schedule = 1", "schedule = [{}, 1]"])
def test_schedules_that_are_no_tables_are_refused_with_both_forms(configured: Configured, text: str) -> None:
    line = refusal(lambda: configured(text))

    assert "pipeline.toml: schedule " in line
    assert "[schedule]" in line
    assert "[[schedule]]" in line


@pytest.mark.parametrize("text", ["[[collect]]\nattempts = 3", '"schedule[1]" = 1', "[[schedule]]\n'cron[1]' = 'x'"])
def test_nothing_else_is_repeated_or_numbered(configured: Configured, text: str) -> None:
    assert any(why in refusal(lambda: configured(text)) for why in ("collect must be a table", "unknown key"))


def test_a_variable_overrides_the_single_schedule(configured: Configured) -> None:
    settings = configured('[schedule]\ncron = "@daily"', PIPELINE_SCHEDULE__SYMBOLS='["KO"]')

    assert str(settings.schedules[0]) == "0 0 * * * America/New_York"
    assert settings.schedules[0].symbols == ("KO",)


@pytest.mark.parametrize("variable", ["PIPELINE_SCHEDULE__CRON", "PIPELINE_SCHEDULE__SYMBOLS_FILE"])
def test_a_variable_cannot_tell_which_of_several_schedules_it_is_for(configured: Configured, variable: str) -> None:
    line = refusal(lambda: configured("[[schedule]]", **{variable: "@daily"}))

    assert line.startswith(f"{variable}: ")
    assert "pipeline.toml has [[schedule]] tables" in line


# Where the daemon answers


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:8080", "::1", 8080),
        ("localhost:8080", "localhost", 8080),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("[::]:0", "::", 0),
    ],
)
def test_an_address_and_a_port_are_listened_on(configured: Configured, text: str, host: str, port: int) -> None:
    listen = configured(f'[status]\nlisten = "{text}"').listen

    assert listen == Listen(host, port)
    assert str(listen) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "a.be:80",
        "::1:8080", "[::1]", "[127.0.0.1]:80", "256.0.0.1:80", "1.2.3:80", "http://127.0.0.1:80", "127.0.0.1:80/",
        "127.0.0.1:8\u0660", "[localhost]:80", " 127.0.0.1:80", "[fe80::1%eth0]:80", "127.0.0.1:80\n",
    ],
)  # fmt: skip
def test_what_is_no_address_to_listen_on_is_refused_with_two_that_are(configured: Configured, text: str) -> None:
    line = refusal(lambda: configured(f"[status]\nlisten = {json.dumps(text)}"))

    assert "status.listen: " in line
    assert 'such as "127.0.0.1:8080" or "[::1]:8080"' in line


# Secrets of the daemon


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        (None, ()),
        ("", ()),
        (" \n , ", ()),
        ("ntfy://topic", ("ntfy://topic",)),
        ("a://x b://y\n\tc://z", ("a://x", "b://y", "c://z")),
        ("a://x,b://y , c://z,", ("a://x", "b://y", "c://z")),
        ("a://x,\nb://y", ("a://x", "b://y")),
        (
            "mailtos://u:p@h?to=a@x.com,b@y.com,JSON://h/p,q",
            ("mailtos://u:p@h?to=a@x.com,b@y.com", "JSON://h/p,q"),
        ),
    ],
)
def test_urls_to_notify_are_parted_by_spaces_and_by_the_commas_between_them(
    text: str | None, urls: tuple[str, ...]
) -> None:
    assert notify_urls(Environment({} if text is None else {NOTIFY_URLS: text})) == urls


@pytest.mark.parametrize("text", ["S3CR3T", "a://x S3CR3T", "://S3CR3T", "a:/S3CR3T", "a://\x1bS3CR3T", "S3CR3T://"])
def test_what_is_no_url_to_notify_is_refused_and_not_repeated(text: str) -> None:
    line = refusal(lambda: notify_urls(Environment({NOTIFY_URLS: text})))

    assert line.startswith(f"{NOTIFY_URLS}: ")
    assert "mailto://" in line
    assert "S3CR3T" not in line


@given(st.text(max_size=40) | st.text(st.sampled_from("ab:/, \n"), max_size=40))
def test_any_urls_to_notify_are_taken_or_refused(text: str) -> None:
    try:
        urls = notify_urls(Environment({NOTIFY_URLS: text}))
    except SettingsError:
        return
    assert all("://" in url and not set(url) & set(" \n") for url in urls)


@pytest.mark.parametrize(
    "url", ["https://hc-ping.com/abc", "http://127.0.0.1:8000/ping", "http://[::1]/x", "https://k.example/push/x?msg=a"]
)
def test_the_url_to_ping_is_https_or_loopback(url: str) -> None:
    assert ping_url(Environment({PING_URL: f" {url}\n"})) == url


@pytest.mark.parametrize("variables", [{}, {PING_URL: ""}, {PING_URL: "  "}])
def test_without_a_url_to_ping_there_is_none(variables: dict[str, str]) -> None:
    assert ping_url(Environment(variables)) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hc-ping.com/S3CR3T", "plain http"),
        ("ftp://hc-ping.com/S3CR3T", "invalid URL; use one such as https://hc-ping.com/"),
        ("S3CR3T", "invalid URL"),
        ("https:///S3CR3T", "invalid URL"),
        ("https://h/S3CR3T x", "invalid URL"),
        ("https://h:99999/S3CR3T", "invalid URL"),
        ("https://[::1/S3CR3T", "invalid URL"),
        ("http://127.0.0.1\\@h/S3CR3T", "invalid URL"),
    ],
)
def test_a_url_to_ping_that_is_not_safe_is_refused_and_not_repeated(url: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        ping_url(Environment({PING_URL: url}, from_dotenv=frozenset({PING_URL})))

    assert str(refused.value).startswith(f".env: {PING_URL}: {why}")
    assert "S3CR3T" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('PIPELINE_NOTIFY_URLS = "S3CR3T"', NOTIFY_URLS),
        ('[notify]\nurls = ["S3CR3T"]', NOTIFY_URLS),
        ('[status]\nnotify-url = "S3CR3T"', NOTIFY_URLS),
        ('PIPELINE_PING_URL = "S3CR3T"', PING_URL),
        ('[[schedule]]\nping_url = "S3CR3T"', PING_URL),
        ('[ping]\nurl = "S3CR3T"', PING_URL),
    ],
)
def test_a_secret_of_the_daemon_in_the_file_is_refused_with_where_it_belongs(
    configured: Configured, text: str, variable: str
) -> None:
    line = refusal(lambda: configured(text))

    assert f"set {variable}" in line
    assert ".env" in line
    assert "S3CR3T" not in line


def test_the_secrets_of_the_daemon_are_not_taken_for_misspelt_settings() -> None:
    assert list(misspelt_variables([NOTIFY_URLS, PING_URL, "PIPELINE_CONFIG"])) == []
    (warning,) = misspelt_variables(["PIPELINE_NOTIFY_URL"])
    assert warning.startswith("PIPELINE_NOTIFY_URL ")
    assert "PIPELINE_NOTIFY_URLS?" in warning


# Where values come from


def test_the_environment_overrides_dotenv_and_that_the_file_and_that_the_default(
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
        ("PIPELINE_COLLECT__CONTINUE", "maybe", "expected true or false"),
        ("PIPELINE_COLLECT__ATTEMPTS", "4.5", "expected int"),
        ("PIPELINE_COLLECT__ATTEMPTS", "0", "expected int >= 1"),
        ("PIPELINE_COLLECT__WAIT_SECONDS", "nan", "expected float >= 0"),
        ("PIPELINE_SOURCE__LIMITS", "25/day", "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", '["25/day"', "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", '{"a": 1}', "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", "null", "list as JSON"),
        ("PIPELINE_SOURCE__LIMITS", "[25]", "expected str"),
        ("PIPELINE_SYMBOLS__LIST", "AAPL", '["AAPL", "MSFT"]'),
        ("PIPELINE_SOURCE__PLAN", "fre", "free?"),
        ("PIPELINE_DATABASE", "", "length >= 1"),
    ],
)
def test_a_variable_that_cannot_be_taken_is_refused_by_its_name(
    configured: Configured, variable: str, text: str, why: str
) -> None:
    line = refusal(lambda: configured(**{variable: text}))

    assert line.startswith(f"{variable}: ")
    assert why in line


def test_other_variables_of_that_prefix_are_left_alone(configured: Configured) -> None:
    assert configured(PIPELINE_ENV="prod", PIPELINE_PING_URL="x", PIPELINE_SOURCE__PORT="1") == configured()


# The configuration file


def test_a_configuration_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    line = refusal(lambda: load(tmp_path / "absent.toml", NOTHING))

    assert "absent.toml: cannot be read (no such file or directory)" in line
    assert "pipeline init" in line


def test_a_configuration_that_a_variable_names_has_to_be_there(tmp_path: Path) -> None:
    variables = Environment({"PIPELINE_CONFIG": str(tmp_path / "absent.toml")})

    assert "absent.toml: cannot be read" in refusal(lambda: load(None, variables))


def test_the_usual_name_given_as_an_option_has_to_be_there_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert "cannot be read" in refusal(lambda: load(Path("config/pipeline.toml"), NOTHING))


def test_a_configuration_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (is a directory)" in refusal(lambda: load(tmp_path, NOTHING))


def test_a_configuration_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_bytes(b'database = "\xff.db"')

    assert "cannot be read (not UTF-8)" in refusal(lambda: load(path, NOTHING))


@pytest.mark.parametrize("text", ["database = ", "[source", "a = 1\na = 2", f"a = {'[' * 50_000}", f"a = {'9' * 5000}"])
def test_a_configuration_that_is_no_toml_is_refused(configured: Configured, text: str) -> None:
    assert "pipeline.toml: invalid TOML: " in refusal(lambda: configured(text))


def test_where_toml_is_wrong_the_key_is_named_and_no_value(configured: Configured) -> None:
    said = refusal(lambda: configured("[source]\nplan = S3CR3T"))

    assert "plan = ..." in said
    assert "quotes" in said
    assert "S3CR3T" not in said + refusal(lambda: configured("S3CR3T = = 1"))


def test_without_a_configuration_the_database_is_in_the_users_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))

    settings = load(None, NOTHING)

    assert settings.config is None
    assert tmp_path in settings.database.parents
    assert settings.database.name == "overviews.db"
    assert settings.limits == PLANS["free"]


def test_the_configuration_in_its_usual_place_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('database = "here.db"')

    settings = load(None, NOTHING)

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

    settings = load(tmp_path / "config" / "mine.toml", NOTHING)

    assert settings.symbols == ("AAPL",)
    assert settings.database == Path("data/x.db")


@pytest.mark.parametrize("text", [".", "/", "a\\u0000b"])
def test_a_database_without_a_name_is_refused(configured: Configured, text: str) -> None:
    assert "is not the path of a file" in refusal(lambda: configured(f'database = "{text}"'))


def test_a_database_whose_name_is_too_long_for_the_disk_is_refused(configured: Configured) -> None:
    assert "database: " in refusal(lambda: configured(f'database = "{"x" * 300}"'))


def test_a_home_that_nobody_has_is_refused(configured: Configured) -> None:
    assert "cannot be used (no such user" in refusal(lambda: configured('database = "~nobody-of-this-name/x.db"'))


def test_a_tilde_is_the_users_home(configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert configured('database = "~/x.db"').database == tmp_path / "x.db"


# The URL


@pytest.mark.parametrize(
    "url",
    [
        "https://www.alphavantage.co/query",
        "http://127.0.0.1:8321/query",
        "http://127.8.8.8/query",
        "http://localhost:8321/query",
        "http://[::1]:8321/query",
    ],
)
def test_https_is_allowed_and_http_on_loopback(configured: Configured, url: str) -> None:
    assert configured(f'[source]\nbase_url = "{url}"').base_url == url


@pytest.mark.parametrize(
    "url", ["http://www.alphavantage.co/query", "http://localhost.example.com/", "http://10.0.0.1/", "http://0.0.0.0/"]
)
def test_http_to_another_machine_is_refused(configured: Configured, url: str) -> None:
    line = refusal(lambda: configured(f'[source]\nbase_url = "{url}"'))

    assert "source.base_url: " in line
    assert "https" in line


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alphavantage",
        "https://",
        "ftp://alphavantage.co",
        "https://user@alphavantage.co/",
        "https://:password@alphavantage.co/",
        "https://@alphavantage.co/",
        "http://127.0.0.1@alphavantage.co/",
        "http://127.0.0.1\\\\@alphavantage.co/",
        "https://alphavantage.co/?apikey=x",
        "https://alphavantage.co/#x",
        "https://alpha vantage.co/",
        "https://alphavantage.co/\\n",
        "https://alphavantage.co:99999/",
        "https://[::1",
    ],
)
def test_what_is_no_plain_url_is_refused(configured: Configured, url: str) -> None:
    assert "source.base_url: " in refusal(lambda: configured(f'[source]\nbase_url = "{url}"'))


# Symbols


def test_lower_case_is_taken_as_upper(configured: Configured) -> None:
    assert configured('[symbols]\nlist = ["aapl", "brk-b"]').symbols == ("AAPL", "BRK-B")


def test_a_symbol_given_twice_is_taken_once_and_said(configured: Configured) -> None:
    settings = configured('[symbols]\nlist = ["AAPL", "MSFT", "aapl", "AAPL"]')

    assert settings.symbols == ("AAPL", "MSFT")
    assert settings.notices == ("duplicate symbols ignored: AAPL",)


def test_a_symbol_in_the_list_and_in_the_file_is_taken_once(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("MSFT\nAAPL\n")

    settings = configured('[symbols]\nlist = ["AAPL"]\nfile = "names.txt"')

    assert settings.symbols == ("AAPL", "MSFT")
    assert settings.notices == ("duplicate symbols ignored: AAPL",)


def test_many_symbols_given_twice_are_said_in_short(configured: Configured) -> None:
    names = [f"A{number}" for number in range(10)] * 2

    (notice,) = configured(f"[symbols]\nlist = {json.dumps(names)}").notices

    assert notice.endswith("A0, A1, A2, A3, A4, A5, A6, A7 and 2 more")


@pytest.mark.parametrize(
    "name",
    ["A B", "../x", "", "-", "A\\u001b[31m", "A\\nB", "A\\u0000", "\\u00c4PPL", "\\uff21", "A'B", "A" * 33, "A&B"],
)
def test_what_is_no_symbol_is_refused_by_place(configured: Configured, name: str) -> None:
    line = refusal(lambda: configured(f'[symbols]\nlist = ["{name}"]'))

    assert "pipeline.toml: symbols.list: " in line
    assert line.isprintable()


@pytest.fixture
def filed(tmp_path: Path, configured: Configured) -> Callable[[bytes], Settings]:
    """Load a configuration whose symbols are in a file with these bytes."""

    def read(content: bytes) -> Settings:
        (tmp_path / "names.txt").write_bytes(content)
        return configured('[symbols]\nfile = "names.txt"')

    return read


def test_a_symbol_file_has_one_a_line_and_comments(filed: Callable[[bytes], Settings]) -> None:
    assert filed(b"# mine\nAAPL\n\n  msft  # the other one\nPEP").symbols == ("AAPL", "MSFT", "PEP")


def test_a_symbol_file_may_come_from_windows(filed: Callable[[bytes], Settings]) -> None:
    assert filed(b"\xef\xbb\xbfAAPL\r\nMSFT\r\n").symbols == ("AAPL", "MSFT")


@pytest.mark.parametrize("bad", [b"A B", b"../x", b"A\x1bB", b"A\x0bB", b"A,B", b"\xc3\x84PPL"])
def test_a_bad_line_of_a_symbol_file_is_named_by_its_number(filed: Callable[[bytes], Settings], bad: bytes) -> None:
    line = refusal(lambda: filed(b"AAPL\n# fine\n" + bad + b"\nMSFT\n"))

    assert "names.txt: line 3: " in line
    assert line.isprintable()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", b"symbol,name,status\n"])
def test_a_symbol_file_that_holds_none_is_refused(filed: Callable[[bytes], Settings], content: bytes) -> None:
    line = refusal(lambda: filed(content))

    assert "names.txt contains no symbols" in line
    assert "LISTING_STATUS" in line


def test_a_symbol_file_that_is_missing_is_refused(configured: Configured) -> None:
    line = refusal(lambda: configured('[symbols]\nfile = "names.txt"'))

    assert "symbols.file: " in line
    assert "names.txt cannot be read (no such file or directory)" in line


def test_a_symbol_file_that_is_a_folder_is_refused(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "names.txt").mkdir()

    assert "cannot be read (is a directory)" in refusal(lambda: configured('[symbols]\nfile = "names.txt"'))


def test_a_symbol_file_that_is_not_utf_8_is_refused(filed: Callable[[bytes], Settings]) -> None:
    assert "cannot be read (not UTF-8)" in refusal(lambda: filed(b"A\xffPL"))


LISTING = (
    b"symbol,name,exchange,assetType,ipoDate,delistingDate,status\r\n"
    b"A,Agilent Technologies Inc,NYSE,Stock,1999-11-18,null,Active\r\n"
    b'BRK-B,"Berkshire, B",NYSE,Stock,1996-05-09,null,Active\r\n'
    b"AAA,Some Fund,NYSE ARCA,ETF,2020-09-09,null,Active\r\n"
    b"OLD,Gone Inc,NYSE,Stock,1990-01-01,2020-01-01,Delisted\r\n"
    b"NYCB- PR-U,Unpronounceable,NYSE,Stock,2002-11-04,null,Active\r\n"
)


def test_of_a_listing_the_active_stocks_are_taken_and_told(filed: Callable[[bytes], Settings]) -> None:
    settings = filed(LISTING)

    assert settings.symbols == ("A", "BRK-B")
    assert settings.notices[0].endswith("names.txt: 2 active stocks taken from the csv")


def test_what_a_listing_lists_that_is_no_symbol_is_left_out_and_told(filed: Callable[[bytes], Settings]) -> None:
    assert filed(LISTING).notices[1].endswith("names.txt: invalid symbols ignored: 'NYCB- PR-U'")


def test_a_listing_without_an_active_stock_is_refused(filed: Callable[[bytes], Settings]) -> None:
    assert "contains no symbols" in refusal(lambda: filed(LISTING.replace(b"Active", b"Delisted")))


@needs_recordings
def test_the_apis_own_listing_is_taken(configured: Configured) -> None:
    listing = RECORDINGS / "listing_status_active.csv"

    settings = configured(f'[symbols]\nfile = "{listing}"')

    assert len(settings.symbols) > 8_000
    assert {"A", "BRK-B", "-P-HIZ"} <= set(settings.symbols)
    assert f"{len(settings.symbols):,} active stocks taken" in settings.notices[0]


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=60),
        st.text(st.characters(codec="utf-8"), max_size=60).map(lambda rest: f"symbol,assetType,status\n{rest}"),
        st.lists(st.sampled_from(["A", "b", "# x", "BRK.B", ""])).map("\n".join),
    )
)
@example(text='symbol,assetType,status\n"A')
@example(text="symbol,assetType,status\nA,Stock,Active,more,still more")
@example(text="symbol,assetType,status\n" + "A" * 140_000)
@example(text="SYMBOL,ASSETTYPE,STATUS\nA,Stock,Active")
@example(text="symbol,\0")
def test_any_symbol_file_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.txt").write_text(text, encoding="utf-8", newline="")
    (folder / "any-file.toml").write_text('[symbols]\nfile = "any.txt"')

    taken = loaded_or_refused(folder / "any-file.toml", NOTHING)

    if isinstance(taken, str):
        assert taken.isprintable()
    else:
        assert taken.symbols
        assert list(taken.symbols) == [parse_symbol(symbol) for symbol in dict.fromkeys(taken.symbols)]


# .env


@pytest.fixture
def dotenv(tmp_path: Path) -> Callable[..., Environment]:
    """Read a `.env` of this text that only its owner can read, below these variables."""

    def read(text: str, mode: int = 0o600, **variables: str) -> Environment:
        path = tmp_path / ".env"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return with_dotenv(variables, path)

    return read


def test_dotenv_adds_to_the_environment_and_never_overrides_it(dotenv: Callable[..., Environment]) -> None:
    found = dotenv("A=file\nB=file\n", A="set")

    assert found.variables == {"A": "set", "B": "file"}
    assert found.origin("A") == "A"
    assert found.origin("B") == ".env: B"


def test_nothing_in_dotenv_is_interpolated(dotenv: Callable[..., Environment]) -> None:
    assert dotenv(f"{API_KEY}=a$HOME${{PATH}}b\n", HOME="x", PATH="y").variables[API_KEY] == "a$HOME${PATH}b"


@pytest.mark.parametrize("line", ["what is this", "A: b", "=x", "A", 'A="open'])
def test_a_broken_line_of_dotenv_is_skipped_and_told(dotenv: Callable[..., Environment], line: str) -> None:
    found = dotenv(f"# mine\n{line}\n")

    assert found.variables == {}
    assert len(found.problems) == 1
    assert "line 2 " in found.problems[0]
    assert "NAME=value" in found.problems[0]


def test_the_lines_around_a_broken_one_are_taken(dotenv: Callable[..., Environment]) -> None:
    assert dotenv("A=1\nwhat is this\nexport B='2'\n").variables == {"A": "1", "B": "2"}


def test_a_key_that_others_can_read_is_told(dotenv: Callable[..., Environment]) -> None:
    (problem,) = dotenv(f"{API_KEY}=abc\n", mode=0o644).problems

    assert "chmod 600" in problem
    assert "abc" not in problem


@pytest.mark.parametrize("name", [NOTIFY_URLS, PING_URL])
def test_other_secrets_that_others_can_read_are_told(dotenv: Callable[..., Environment], name: str) -> None:
    (problem,) = dotenv(f"{name}=abc\n", mode=0o644).problems

    assert "chmod 600" in problem


def test_what_is_no_secret_may_be_read_by_others(dotenv: Callable[..., Environment]) -> None:
    assert dotenv(f"PIPELINE_SOURCE__PLAN=free\n{API_KEY}=\n", mode=0o644).problems == ()


def test_no_dotenv_is_no_problem(tmp_path: Path) -> None:
    assert with_dotenv({"A": "1"}, tmp_path / ".env") == Environment({"A": "1"})


def test_a_dotenv_that_is_a_folder_is_told_and_not_used(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    found = with_dotenv({"A": "1"}, tmp_path / ".env")

    assert found.variables == {"A": "1"}
    assert "cannot be read (is a directory)" in found.problems[0]


def test_a_dotenv_that_is_not_utf_8_is_told_and_not_used(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")

    assert "cannot be read (not UTF-8)" in with_dotenv({}, tmp_path / ".env").problems[0]


def test_a_dotenv_in_a_folder_above_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("A=1")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")

    assert with_dotenv({}, Path(".env")).variables == {}


# The key


def test_without_a_key_the_remedies_are_named() -> None:
    line = refusal(lambda: api_key(NOTHING))

    assert API_KEY in line
    assert ".env" in line
    assert "pipeline collect --sandbox" in line


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_key_that_is_empty_is_none(text: str) -> None:
    assert f"{API_KEY}: the API key is empty" in refusal(lambda: api_key(Environment({API_KEY: text})))


@pytest.mark.parametrize("text", ["two words", "a\tb", "k\u00e9y", "a\x1b[31mb"])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(text: str) -> None:
    line = refusal(lambda: api_key(Environment({API_KEY: text})))

    assert line.startswith(f"{API_KEY}: invalid API key")
    assert text not in line


def test_the_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ABC\n")

    assert api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})) == "ABC"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf\n"])
def test_a_key_file_that_is_empty_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)

    assert "key: the API key is empty" in refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})))


def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    line = refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})))

    assert line.startswith(f"{API_KEY_FILE}: ")
    assert "cannot be read (no such file or directory)" in line


def test_a_key_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    assert "cannot be read (is a directory)" in refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path)})))


def test_a_key_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")

    assert "cannot be read (not UTF-8)" in refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})))


def test_a_key_file_counts_where_the_key_itself_is_left_empty(
    tmp_path: Path, dotenv: Callable[..., Environment]
) -> None:
    """As in the `.env` that `pipeline init` writes, once its last line is filled in."""
    (tmp_path / "key").write_text("ABC")

    assert api_key(dotenv(f"{API_KEY}=\n{API_KEY_FILE}={tmp_path / 'key'}\n")) == "ABC"


def test_a_key_file_of_the_environment_comes_before_a_key_in_dotenv(
    tmp_path: Path, dotenv: Callable[..., Environment]
) -> None:
    (tmp_path / "key").write_text("ABC")

    assert api_key(dotenv(f"{API_KEY}=DEF\n", **{API_KEY_FILE: str(tmp_path / "key")})) == "ABC"


def test_a_key_comes_before_a_key_file_in_the_same_place(tmp_path: Path) -> None:
    assert api_key(Environment({API_KEY: "DEF", API_KEY_FILE: str(tmp_path / "absent")})) == "DEF"


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_database_in_a_folder_that_is_not_ours_to_look_into_is_refused(
    configured: Configured, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir(mode=0o000)

    assert "cannot be used (permission denied)" in refusal(
        lambda: configured(f'database = "{tmp_path / "theirs" / "x.db"}"')
    )


def test_symbols_are_symbols(configured: Configured) -> None:
    assert configured('[symbols]\nlist = ["a"]').symbols == (Symbol("A"),)
