"""The threshold: that it cannot hold is said with what would, and only with what would."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.monitoring.threshold import check_threshold, span_text
from pipeline.settings.environment import Environment
from pipeline.settings.load import Settings, load

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

Configured = Callable[[str], Settings]


@pytest.fixture
def configured(tmp_path: Path, database: Path) -> Configured:
    """Return the settings of a TOML, with symbols S0 to S19 in the file `twenty`."""

    def configure(toml: str) -> Settings:
        (tmp_path / "twenty").write_text("\n".join(f"S{number}" for number in range(20)))
        (tmp_path / "pipeline.toml").write_text(toml)
        return load(tmp_path / "pipeline.toml", Environment({}), database=database)

    return configure


def symbols(number: int) -> str:
    return f"[symbols]\nlist = {[f'S{one}' for one in range(number)]}\n"


def test_the_default_threshold_holds_for_a_short_list(configured: Configured) -> None:
    for number in (0, 1, 25, 75):
        threshold = check_threshold(configured(symbols(number)))

        assert threshold.problem is None
        assert threshold.facts()["holds"] is True
    assert threshold.full_pass == 72 * HOUR


def test_a_list_that_is_too_long_for_the_plan_gets_three_remedies_each_of_which_holds(configured: Configured) -> None:
    threshold = check_threshold(configured(symbols(890)))

    assert threshold.problem is not None
    assert "890 symbols take 36 days" in threshold.problem.text
    assert threshold.problem.remedy == (
        "list at most 75 symbols, use plan premium-75, or set stale_after_hours to 864 or more"
    )
    assert threshold.facts() | {"problem": "", "remedy": ""} == {
        "stale_after_hours": 72, "full_pass_hours": 864, "holds": False, "most_symbols": 75,
        "smallest_plan": "premium-75", "problem": "", "remedy": "",
    }  # fmt: skip
    assert check_threshold(configured(symbols(75))).problem is None
    assert check_threshold(configured(symbols(890) + "[source]\nplan = 'premium-75'")).problem is None
    assert check_threshold(configured(symbols(890) + "[status]\nstale_after_hours = 864")).problem is None
    assert check_threshold(configured(symbols(890) + "[status]\nstale_after_hours = 863")).problem is not None


def test_a_schedule_that_fires_too_rarely_is_not_remedied_by_a_plan_or_a_shorter_list(configured: Configured) -> None:
    threshold = check_threshold(configured(symbols(5) + "[schedule]\ncron = '@weekly'"))

    assert threshold.problem is not None
    assert "7 days apart" in threshold.problem.text
    assert threshold.problem.remedy == "schedule more of them or set stale_after_hours to 168 or more"
    assert (threshold.most_symbols, threshold.smallest_plan) == (None, None)
    daytime = check_threshold(
        configured(symbols(5) + "[schedule]\ncron = '* 9-16 * * mon-fri'\n[status]\nstale_after_hours = 9")
    )
    assert daytime.problem is not None
    assert "65 or more" in str(daytime.problem.remedy)  # 64 hours and a minute


def test_a_pass_of_more_than_the_largest_threshold_names_no_larger_one(configured: Configured) -> None:
    settings = configured(symbols(400) + "[source]\nlimits = ['1/day']\n[collect]\ncontinue = false")
    yearly = load(settings.config, Environment({"PIPELINE_SCHEDULE__CRON": "@yearly"}))

    threshold = check_threshold(yearly)

    assert threshold.problem is not None
    assert "stale_after_hours" not in str(threshold.problem.remedy)


def test_symbols_that_are_not_covered_do_not_count(configured: Configured, database: Path) -> None:
    settings = configured(symbols(80))
    assert check_threshold(settings).problem is not None
    with closing(sqlite3.connect(database)) as db, db:
        db.executemany(
            "INSERT INTO symbols (symbol, state) VALUES (?, 'unknown')", [(f"S{number}",) for number in range(5)]
        )

    assert check_threshold(settings).problem is None


def test_lists_of_several_schedules_use_one_plan(configured: Configured) -> None:
    both = """
        [[schedule]]
        cron = "0 9 * * *"
        symbols_file = "twenty"
        [[schedule]]
        cron = "0 21 * * *"
        [status]
        stale_after_hours = 24
    """

    threshold = check_threshold(configured("[symbols]\nlist = ['A', 'B', 'C', 'D', 'E', 'F']\n" + both))
    assert check_threshold(configured("[symbols]\nlist = ['A', 'B', 'C', 'D', 'E']\n" + both)).problem is None

    assert threshold.problem is not None
    assert "26 symbols take 36 h" in threshold.problem.text
    assert "at most" not in (threshold.problem.remedy or "")


def test_a_symbol_that_no_schedule_has_is_named(configured: Configured) -> None:
    threshold = check_threshold(configured("[symbols]\nlist = ['A', 'B']\n[schedule]\nsymbols = ['B']"))

    assert threshold.problem is not None
    assert threshold.problem.text.endswith("no schedule has A")


@pytest.mark.parametrize(
    ("span", "text"),
    [(7 * HOUR / 60, "7 min"), (HOUR, "1 h"), (72 * HOUR, "72 h"), (6.5 * DAY, "6.5 days"), (3995 * DAY, "3,995 days")],
)
def test_a_span_is_written_in_its_largest_unit(span: timedelta, text: str) -> None:
    assert span_text(span) == text
