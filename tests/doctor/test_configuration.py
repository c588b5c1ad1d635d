"""Checks of the configuration: what cannot be used ends with 3, and no secret is shown."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.doctor.checkup import findings
from pipeline.doctor.configuration import check_environment, check_symbols
from pipeline.doctor.findings import Level
from pipeline.errors import ExitCode
from pipeline.monitoring.checks import Kind
from pipeline.quota.keys import KeyPlan
from pipeline.settings.environment import API_KEY, API_KEY_FILE, NOTIFY_URLS, PING_URL, WEB_TOKEN, Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import Fleet
from pipeline.settings.load import Settings, load
from tests.support.checkups import BAD_LINE, KEYED, Examined, code
from tests.support.clocks import START
from tests.support.places import SECRET


def test_a_configuration_that_cannot_be_used_ends_with_3(settings: Settings) -> None:
    error = SettingsError("pipeline.toml: source.paln: no such key; did you mean source.plan?")

    found = {one.check: one for one in findings(error, KEYED, now=START, thorough=True)}

    assert found[Kind.CONFIGURATION].level is Level.PROBLEM
    assert found[Kind.CONFIGURATION].found == error.problem
    assert code(found) == ExitCode.REFUSED


def test_of_a_key_only_the_length_is_shown(examined: Examined) -> None:
    assert examined()[Kind.KEY].found == "set, 16 characters"


def test_a_key_in_a_wrong_place_is_hidden(settings: Settings) -> None:
    error = SettingsError("pipeline.toml: source.plan: unknown plan 'odd-key-9'", remedy="remove odd-key-9")

    found = {one.check: one for one in findings(error, Environment({API_KEY: "odd-key-9"}), now=START, thorough=False)}

    assert found[Kind.CONFIGURATION].found.endswith("unknown plan '***'")
    assert found[Kind.CONFIGURATION].remedy == "remove ***"


@pytest.mark.parametrize("variables", [{}, {API_KEY: ""}])
def test_a_key_that_is_missing_ends_with_3(examined: Examined, variables: dict[str, str]) -> None:
    found = examined(Environment(variables))

    assert found[Kind.KEY].level is Level.PROBLEM
    assert "alphavantage.co/support" in (found[Kind.KEY].remedy or "")
    assert "alphavantage.co/support" not in found[Kind.KEY].found
    assert code(found) == ExitCode.REFUSED


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [({API_KEY: "two words"}, "copy it again"), ({API_KEY_FILE: "/absent"}, "name a text file")],
)
def test_a_key_that_cannot_be_used_is_corrected_and_not_replaced(
    examined: Examined, variables: dict[str, str], remedy: str
) -> None:
    found = examined(Environment(variables))[Kind.KEY]

    assert found.level is Level.PROBLEM
    assert remedy in (found.remedy or "")
    assert "free" not in (found.remedy or "")


def test_each_of_several_keys_is_checked_under_its_name(settings: Settings) -> None:
    several = replace(settings, plans=(KeyPlan("main", ()), KeyPlan("second", ())))
    variables = {f"{API_KEY}_MAIN": "S3CR3TK3YOFOURS1", f"{API_KEY}_SECOND": "demo", f"{API_KEY}_THIRD": "x"}

    found = [one for one in findings(several, Environment(variables), now=START, thorough=False) if one.check == "key"]
    missing = [one for one in findings(several, KEYED, now=START, thorough=False) if one.check == "key"]

    assert [one.level for one in found] == [Level.OK, Level.NOTE, Level.NOTE]
    assert [one.found.partition(":")[0] for one in found] == ["main", "second", "set, and not read"]
    assert f"{API_KEY}_THIRD" in found[2].found
    assert [one.level for one in missing] == [Level.PROBLEM]
    assert f"{API_KEY}_MAIN" in (missing[0].remedy or "")


def test_a_member_of_a_fleet_needs_its_url_and_need_not_hold_each_key(settings: Settings) -> None:
    member = replace(settings, plans=(KeyPlan("main", ()), KeyPlan("second", ())), fleet=Fleet("north"))
    key = {f"{API_KEY}_MAIN": "S3CR3TK3YOFOURS1"}
    url = {"PIPELINE_FLEET_URL": f"postgresql://me:{SECRET}@db/fleet"}

    found = findings(member, Environment({**key, **url}), now=START, thorough=False)
    without = findings(member, Environment(key), now=START, thorough=False)

    assert [one.level for one in found if one.check in ("key", "fleet")] == [*[Level.OK] * 3, Level.NOTE]
    assert [one.found for one in found if "second" in one.found]
    (fleet,) = (one for one in without if one.check == "fleet")
    assert fleet.level is Level.PROBLEM
    assert "PIPELINE_FLEET_URL" in fleet.found


def test_a_bad_dotenv_ends_with_3(examined: Examined) -> None:
    found = examined(Environment({API_KEY: "ABC"}, problems=(BAD_LINE,)))

    assert found[Kind.ENV_FILE].level is Level.PROBLEM
    assert found[Kind.ENV_FILE].found == BAD_LINE.problem
    assert found[Kind.ENV_FILE].remedy == "write NAME=value"
    assert code(found) == ExitCode.REFUSED


@pytest.mark.parametrize("key", ["YOUR_API_KEY", "demo", "S3CR3TK3YOFOURS", "s3cr3tk3yofours1"])
def test_a_key_of_another_form_is_noted(examined: Examined, key: str) -> None:
    found = examined(Environment({API_KEY: key}))

    assert found[Kind.KEY].level is Level.NOTE
    assert found[Kind.KEY].remedy
    assert code(found) == ExitCode.DONE


def test_a_key_under_another_name_is_a_problem(examined: Examined) -> None:
    found = examined(Environment({"AV_API_KEY": "x"}))

    assert found[Kind.KEY].level is Level.PROBLEM
    assert "AV_API_KEY" in found[Kind.KEY].found
    assert API_KEY in (found[Kind.KEY].remedy or "")


def test_a_variable_that_sets_nothing_is_noted() -> None:
    names = ["PIPELINE_SOURCE__PLANN", "PIPELINE_DATABASE", "PIPELINE_PLAN", "PIPELINE_ENV", "PIPELINE_STAGE"]

    noted = list(check_environment(Environment(dict.fromkeys(names, "x"))))

    assert {one.level for one in noted} == {Level.NOTE}
    assert [one.found for one in noted] == [
        "PIPELINE_PLAN sets nothing",
        "PIPELINE_SOURCE__PLANN sets nothing",
        "not read by this program: PIPELINE_ENV, PIPELINE_STAGE",
    ]
    assert noted[0].remedy == "did you mean PIPELINE_SOURCE__PLAN?"


def test_what_was_changed_of_a_list_is_noted(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text('[symbols]\nlist = ["NYSE:IBM", "IBM"]')

    noted = list(check_symbols(load(tmp_path / "pipeline.toml", Environment({}))))

    assert [one.level for one in noted] == [Level.NOTE, Level.NOTE, Level.OK]
    assert "IBM for NYSE:IBM" in noted[0].found
    assert "duplicate" in noted[1].found


def test_no_symbols_is_noted(database: Path, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "bare.toml").touch()
    bare = load(tmp_path / "bare.toml", Environment({}), database=database)

    found = {one.check: one for one in findings(bare, KEYED, now=START, thorough=False)}

    assert found[Kind.SYMBOLS].level is Level.NOTE


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({NOTIFY_URLS: f"nope://{SECRET}"}, ["address 1 (nope://)", "apprise does not accept it"]),
        ({NOTIFY_URLS: f"json://127.0.0.1 mailto://{SECRET}"}, ["address 2 (mailto://)"]),
        ({NOTIFY_URLS: SECRET}, ["PIPELINE_NOTIFY_URLS: invalid URL"]),
        ({PING_URL: f"http://example.com/{SECRET}"}, ["PIPELINE_PING_URL: plain http"]),
        ({PING_URL: f"https://example.com:0/{SECRET}"}, ["PIPELINE_PING_URL: invalid URL"]),
    ],
)
def test_an_address_that_the_daemon_could_not_use_ends_with_3(
    examined: Examined, variables: dict[str, str], words: list[str]
) -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")

    found = examined(Environment({**KEYED.variables, **variables}))

    assert found[Kind.NOTIFICATIONS].level is Level.PROBLEM
    assert found[Kind.NOTIFICATIONS].remedy
    for word in words:
        assert word in found[Kind.NOTIFICATIONS].found
    assert SECRET not in str(found[Kind.NOTIFICATIONS])
    assert code(found) == ExitCode.REFUSED


def test_addresses_that_can_be_used_are_counted_and_without_any_nothing_is_said(examined: Examined) -> None:
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    urls = {NOTIFY_URLS: "json://127.0.0.1 json://127.0.0.1/other", PING_URL: "https://hc-ping.com/x"}

    assert examined(Environment({**KEYED.variables, **urls}))[Kind.NOTIFICATIONS].found == "2 addresses, a ping"
    assert Kind.NOTIFICATIONS not in examined()


def test_without_the_extra_an_address_ends_with_3(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    found = examined(Environment({**KEYED.variables, NOTIFY_URLS: "json://127.0.0.1"}))

    assert "apprise>=2.0" in (found[Kind.NOTIFICATIONS].remedy or "")
    assert code(found) == ExitCode.REFUSED


def test_a_list_that_must_become_stale_is_a_problem_of_the_configuration(database: Path, tmp_path: Path) -> None:
    config = tmp_path / "long.toml"
    config.write_text(f"[symbols]\nlist = {[f'S{number}' for number in range(76)]}")
    long = load(config, Environment({}), database=database)

    found = {one.check: one for one in findings(long, KEYED, now=START, thorough=False)}

    assert found[Kind.THRESHOLD].level is Level.PROBLEM
    assert "at most 75 symbols" in str(found[Kind.THRESHOLD].remedy)
    assert code(found) == ExitCode.REFUSED


def test_a_time_zone_without_daylight_saving_time_is_noted_once(database: Path, tmp_path: Path) -> None:
    config = tmp_path / "zones.toml"
    config.write_text("".join(f"[[schedule]]\ncron = '0 {hour} * * *'\ntimezone = 'EST'\n" for hour in (9, 18)))

    found = findings(load(config, Environment({}), database=database), KEYED, now=START, thorough=False)

    (zone,) = (one for one in found if one.check is Kind.SCHEDULE)
    assert zone.level is Level.NOTE
    assert "EST is UTC-05:00 all year" in zone.found
    assert "America/New_York" in str(zone.remedy)


@pytest.mark.parametrize("names", [["HTTPS_PROXY"], ["https_proxy"], ["HTTPS_PROXY", "ALL_PROXY"]])
def test_a_proxy_of_the_environment_that_is_not_used_is_noted_with_the_setting(
    examined: Examined, names: list[str]
) -> None:
    proxies = dict.fromkeys(names, "http://carla:pa55w0rd@proxy.example:3128")

    found = examined(Environment({**KEYED.variables, **proxies}))[Kind.PROXY]

    assert found.level is Level.NOTE
    assert all(name in found.found for name in names)
    assert "source.proxy" in str(found.remedy)
    assert "PIPELINE_SOURCE__PROXY" in str(found.remedy)
    assert "proxy.example" not in str(found)
    assert Kind.PROXY not in examined()


@pytest.mark.parametrize("place", ["file", "variable"])
def test_the_proxy_that_is_used_is_shown_without_its_password(database: Path, tmp_path: Path, place: str) -> None:
    url = "http://carla:pa55w0rd@proxy.example:3128"
    config = tmp_path / "proxied.toml"
    config.write_text(f'[source]\nproxy = "{url}"' if place == "file" else "")
    variables = Environment({**KEYED.variables, **({"PIPELINE_SOURCE__PROXY": url} if place == "variable" else {})})
    settings = load(config, variables, database=database)

    found = [one for one in findings(settings, variables, now=START, thorough=False) if one.check is Kind.PROXY]

    assert found[0].level is Level.OK
    assert "http://***@proxy.example:3128" in found[0].found
    assert "pa55w0rd" not in str(found)
    assert "carla" not in str(found)
    assert [one.level for one in found[1:]] == ([Level.NOTE] if place == "file" else [])


@pytest.mark.parametrize(
    ("web", "variables", "level", "says"),
    [
        ("", {}, None, ""),
        ('listen = "127.0.0.1:8080"', {}, Level.OK, "everybody"),
        ('listen = "0.0.0.0:8080"', {WEB_TOKEN: SECRET * 3}, Level.OK, "token"),
        ('listen = "0.0.0.0:8080"\nallow_anonymous = true', {}, Level.OK, "everybody"),
        ('listen = "0.0.0.0:8080"', {}, Level.PROBLEM, WEB_TOKEN),
        ("", {WEB_TOKEN: "short"}, Level.PROBLEM, "openssl"),
    ],
)
def test_a_site_that_would_not_start_is_a_problem(
    database: Path, tmp_path: Path, web: str, variables: dict[str, str], *, level: Level | None, says: str
) -> None:
    config = tmp_path / "web.toml"
    config.write_text(f"[web]\n{web}\n")
    environment = Environment({**KEYED.variables, **variables})
    settings = load(config, environment, database=database)

    found = [one for one in findings(settings, environment, now=START, thorough=False) if one.check is Kind.WEB]

    assert [one.level for one in found] == ([] if level is None else [level])
    assert says in str(found)
    assert SECRET not in str(found)
