"""`pipeline schedule`: the next fire times, as people and as programs read them."""

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import ExitCode
from pipeline.schedule.cron import Schedule
from tests.support.commands import call

SEVERAL = """
[symbols]
list = ["AAPL", "MSFT", "PEP"]
[[schedule]]
cron = "@daily"
timezone = "America/Sao_Paulo"
[[schedule]]
cron = "*/15 * * * *"
timezone = "Asia/Kathmandu"
symbols = ["KO", "AAPL"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text(SEVERAL)
    return tmp_path


def test_the_next_five_of_each_schedule_are_shown(folder: Path) -> None:
    before = datetime.now(UTC)
    ended = call(folder, "schedule", "--json")
    after = datetime.now(UTC)

    fires = json.loads(ended.out)
    daily, quarters = fires[:5], fires[5:]
    assert [row["symbols"] for row in fires] == [3] * 5 + [2] * 5
    assert {(row["schedule"], row["cron"], row["timezone"]) for row in daily} == {
        ("0 0 * * * America/Sao_Paulo", "@daily", "America/Sao_Paulo")
    }
    instants = [datetime.fromisoformat(row["fires_at"]) for row in daily]
    one = Schedule("@daily", "America/Sao_Paulo", timedelta())
    assert instants in (list(islice(one.fire_times(before), 5)), list(islice(one.fire_times(after), 5)))
    steps = {
        datetime.fromisoformat(later["fires_at"]) - datetime.fromisoformat(earlier["fires_at"])
        for earlier, later in pairwise(quarters)
    }
    assert steps == {timedelta(minutes=15)}
    assert (ended.code, ended.err) == (ExitCode.DONE, "")


def test_each_time_is_given_in_the_schedules_zone_too(folder: Path) -> None:
    for row in json.loads(call(folder, "schedule", "--json").out):
        local = datetime.fromisoformat(row["local"])

        assert local == datetime.fromisoformat(row["fires_at"])
        assert local.utcoffset() == local.astimezone(ZoneInfo(row["timezone"])).utcoffset()


def test_the_table_shows_how_long_until_then(folder: Path) -> None:
    (folder / "config" / "pipeline.toml").write_text('[schedule]\ncron = "0 0 1 1 *"\ntimezone = "Europe/Berlin"')

    header, *rows = call(folder, "schedule", "--count", "2").out.splitlines()

    assert header.split("  ")[0] == "schedule"
    assert len(rows) == 2
    for row in rows:
        assert row.startswith("0 0 1 1 * Europe/Berlin ")
        assert "-01-01 00:00 CET  " in row
        assert "-12-31 23:00:00  " in row
    assert rows[1].endswith(" h")
    assert " d " in rows[1]


def test_csv_and_json_lines_have_the_same_rows(folder: Path) -> None:
    rows = list(csv.reader(StringIO(call(folder, "schedule", "--count", "1", "--format", "csv").out)))
    lines = call(folder, "schedule", "--count", "1", "--format", "jsonl").out.splitlines()

    assert rows[0] == list(json.loads(lines[0])) == ["schedule", "cron", "timezone", "symbols", "fires_at", "local"]
    assert len(rows[1:]) == len(lines) == 2


@pytest.mark.parametrize("count", ["0", "-1", "x", "10001"])
def test_an_invalid_count_is_refused(folder: Path, count: str) -> None:
    ended = call(folder, "schedule", "--count", count)

    assert (ended.code, ended.out) == (ExitCode.USAGE, "")
    assert "'--count'" in ended.err


def test_without_a_configuration_the_default_schedule_is_shown(tmp_path: Path) -> None:
    ended = call(tmp_path, "schedule", "--json", "--count", "1")

    assert [row["schedule"] for row in json.loads(ended.out)] == ["30 18 * * mon-fri America/New_York"]


def test_a_zone_without_daylight_saving_time_is_noted_beside_the_data(folder: Path) -> None:
    (folder / "config" / "pipeline.toml").write_text("[schedule]\ntimezone = 'EST'")

    for form in ([], ["--json"]):
        ended = call(folder, "schedule", *form)
        assert ended.err.count("EST is UTC-05:00 all year, without daylight saving time; ") == 1
        assert "America/New_York" in ended.err
        assert "daylight" not in ended.out
