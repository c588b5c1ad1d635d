"""`pipeline plan`: what is due, and when it would be done."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import ExitCode
from tests.support.collected import Collected
from tests.support.commands import call


def test_without_a_database_every_symbol_is_due(folder: Path) -> None:
    ended = call(folder, "plan", "--json")

    assert ended.code == 0
    plan = ended.json
    assert list(plan) == [
        "symbols",
        "due",
        "fresh",
        "waiting_unknown",
        "requests",
        "finish_at",
        "days",
        "windows",
        "threshold",
        "fleet",
    ]
    assert plan["symbols"] == plan["due"] == plan["requests"] == 1
    assert plan["finish_at"].endswith("Z")
    assert plan["windows"] == [
        {"limit": "25/day", "used": 0, "left": 25, "next_free_at": None, "key": None},
        {"limit": "1/second", "used": 0, "left": 1, "next_free_at": None, "key": None},
    ]
    assert not (folder / "data").exists()


def test_without_symbols_it_says_that_none_are_configured(tmp_path: Path) -> None:
    ended = call(tmp_path, "plan")

    assert ended.code == ExitCode.DONE
    assert "pipeline: no symbols are configured: " in ended.err


def test_the_table_shows_when_it_would_be_done(folder: Path, configure: Callable[[str], object]) -> None:
    configure(f"[symbols]\nlist = {json.dumps([f'A{number}' for number in range(30)])}")

    ended = call(folder, "plan")

    assert ended.code == 0
    assert "30 (A0, A1, A2, A3, A4 and 25 more)" in ended.out
    assert re.search(r"done by +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, over 2 days", ended.out)


def test_a_plan_without_limits_says_so(folder: Path) -> None:
    assert "no limits" in call(folder, "plan", PIPELINE_SOURCE__LIMITS="[]").out


def test_observed_symbols_are_fresh_and_uncovered_ones_wait(collected: Collected) -> None:
    plan = collected.at_sandbox("plan", "--json").json

    assert plan["due"] == plan["requests"] == 0
    assert plan["finish_at"] is None
    assert plan["fresh"] + plan["waiting_unknown"] == 13
    assert plan["waiting_unknown"] >= 1
    assert plan["windows"] == []


def test_that_the_threshold_cannot_hold_is_said_by_plan_and_status(
    folder: Path, configure: Callable[[str], object]
) -> None:
    configure(f"[symbols]\nlist = {json.dumps([f'A{number}' for number in range(76)])}")

    for command in ("plan", "status"):
        assert re.search(r"^threshold +stale_after_hours = 72 cannot hold", call(folder, command).out, re.MULTILINE)
        threshold = call(folder, command, "--json").json["threshold"]
        assert (threshold["holds"], threshold["full_pass_hours"], threshold["most_symbols"]) == (False, 96, 75)
    configure('[symbols]\nlist = ["AAPL"]')
    for command in ("plan", "status"):
        assert "cannot hold" not in call(folder, command).out
        assert call(folder, command, "--json").json["threshold"]["holds"] is True
