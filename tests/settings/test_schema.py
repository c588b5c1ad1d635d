"""The schema: every key has a type and a default, and a value of the wrong type or size is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.quota.limits import PLANS
from pipeline.schedule.cron import Schedule
from pipeline.settings.load import load
from pipeline.settings.schema import KEYS
from tests.support.configurations import NO_VARIABLES, Configured, origins, refusal

DOCUMENTED_KEYS = {
    "database", "symbols.list", "symbols.file", "symbols.renamed", "source.base_url",
    "source.plan", "source.limits", "source.concurrency",
    "source.proxy", "source.time_url",
    "source.timeout_seconds", "collect.fresh_for_hours", "collect.attempts", "collect.wait_seconds", "collect.continue",
    "schedule.cron", "schedule.timezone", "schedule.catch_up_hours", "schedule.symbols", "schedule.symbols_file",
    "status.stale_after_hours", "status.backup_after_days", "status.listen", "status.allowed_hosts",
    "web.listen", "web.allowed_hosts", "web.allow_anonymous", "web.read_through", "keep.outcomes_days",
    "keys.name", "keys.plan", "keys.limits",
    "fleet.name", "fleet.keys.name", "fleet.keys.plan", "fleet.keys.limits",
}  # fmt: skip


def test_the_keys_are_those_documented() -> None:
    assert KEYS.keys() == DOCUMENTED_KEYS


def test_a_key_that_is_not_configured_has_its_default(configured: Configured) -> None:
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


def test_the_shipped_file_shows_the_defaults(configured: Configured) -> None:
    shipped = load(Path(__file__).parents[2] / "config" / "pipeline.toml", NO_VARIABLES)

    defaults = {setting.path: setting.value for setting in configured().values}
    shown = {setting.path: setting.value for setting in shipped.values}
    assert shown == {**defaults, "symbols.list": ["AAPL", "GOOG", "TSLA", "MSFT", "PEP"]}
    assert {path for path, origin in origins(shipped).items() if origin == "default"} == {
        "symbols.file", "symbols.renamed", "source.limits", "source.concurrency", "source.proxy", "source.time_url",
            "schedule.symbols",
        "schedule.symbols_file", "status.listen", "status.allowed_hosts", "web.listen", "web.allowed_hosts",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("database = 1", "database: must be a text"),
        ("database = 2026-01-01", "database: must be a text"),
        ('database = ""', "database: must be a text that is not empty"),
        ('[symbols]\nlist = "AAPL"', "symbols.list: must be a list of texts"),
        ("[symbols]\nlist = [1]", "symbols.list: must be a list of texts"),
        ("[symbols]\nrenamed = 1", 'symbols.renamed: must be a table, such as {FB = "META"}'),
        ("[source]\nconcurrency = 0", "source.concurrency: must be a whole number from 1"),
        ("[source]\nconcurrency = 2.5", "source.concurrency: must be a whole number"),
        ("[source]\ntimeout_seconds = 0", "source.timeout_seconds: must be a number above 0, up to 600"),
        ("[status]\nstale_after_hours = 0", "status.stale_after_hours: must be a number above 0, up to 87600"),
        ("[status]\nallowed_hosts = 'nas.lan'", 'status.allowed_hosts: must be a list of texts, such as ["nas.lan"]'),
        ("[collect]\nattempts = true", "collect.attempts: must be a whole number"),
        ("[collect]\nattempts = 99999999999999999999", "collect.attempts: must be a whole number from 1 to 10"),
        ("[collect]\nwait_seconds = nan", "collect.wait_seconds: must be a number from 0"),
        ("[collect]\nfresh_for_hours = inf", "collect.fresh_for_hours: must be a number from 0 to "),
        ('[collect]\ncontinue = "yes"', "collect.continue: must be true or false"),
        ("source = 1", "source must be a table"),
        ("keys = 1", "keys must be several tables; write [[keys]]"),
        ("[keys]\nname = 'a'", "keys must be several tables; write [[keys]]"),
        ("keys = [1]", "keys must be several tables"),
        ("[fleet.keys]\nname = 'a'", "fleet.keys must be several tables; write [[fleet.keys]]"),
        ("fleet = []", "fleet must be a table"),
        ("[[keys]]\nname = 1", "keys[1].name: must be a text"),
        ("[[fleet.keys]]\nname = 'a'\nlimits = 1", 'fleet.keys[1].limits: must be a list of texts, such as ["25/day"]'),
        ("[fleet]\nname = ''", "fleet.name: must be a text that is not empty"),
        ("[database]\npath = 1", "database: must be a text"),
    ],
)
def test_a_value_of_the_wrong_type_or_size_is_refused(configured: Configured, text: str, place: str) -> None:
    assert f"pipeline.toml: {place}" in refusal(lambda: configured(text))


def test_an_error_cuts_a_long_value(configured: Configured) -> None:
    assert len(refusal(lambda: configured(f"database = [{', '.join(['1'] * 5000)}]"))) < 300
