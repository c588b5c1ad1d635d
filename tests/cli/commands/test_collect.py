"""`pipeline collect`: what it requests, and what it prints about it."""

import json
import re
import stat
from pathlib import Path

from pipeline.errors import ExitCode
from tests.support.collected import Collected
from tests.support.commands import KEY, Ended, call
from tests.support.silent import SilentServer


def test_a_run_in_json_is_one_object(collected: Collected) -> None:
    run = collected.first.json

    assert collected.first.code == 0
    assert list(run) == [
        "run", "trigger", "status", "symbols", "due", "stored", "unchanged", "unknown", "failed", "rejected",
        "deferred", "requests", "seconds",
    ]  # fmt: skip
    assert (run["run"], run["trigger"], run["status"]) == (1, "manual", "complete")
    assert run["symbols"] == run["due"] == run["requests"] == 13
    assert run["stored"] + run["unknown"] == 13


def test_with_v_a_run_logs_json_lines_to_a_stderr_that_is_not_a_terminal(collected: Collected) -> None:
    lines = [json.loads(line) for line in collected.first.err.splitlines() if not line.startswith("pipeline: ")]

    assert [line["event"] for line in lines] == ["run began", "run ended"]
    assert {line["run"] for line in lines} == {1}


def test_the_summary_shows_outcomes_and_how_long_the_requests_took(collected: Collected) -> None:
    out = collected.second.out

    assert "stored" in out
    assert "run 2" in out
    assert "complete" in out
    assert re.search(r"13 requests took \d+\.\d\d s; .* \d+\.\d\d s", out)
    assert "data/sandbox.db" in out
    assert "pipeline status" in out


def test_the_sandbox_never_touches_the_real_database(collected: Collected) -> None:
    assert not (collected.folder / "data" / "real.db").exists()


def test_only_the_owner_can_read_the_files(collected: Collected) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (collected.folder / "data").iterdir()}

    assert set(modes.values()) == {0o600}


def test_a_second_run_finds_nothing_due_and_force_requests_anyway(collected: Collected, tmp_path: Path) -> None:
    copy = collected.backup(tmp_path / "sandbox.db")

    again = collected("--database", str(copy), "collect", "--sandbox", "--latency", "0")
    forced = collected("--database", str(copy), "collect", "--sandbox", "--latency", "0", "--force", "--json")

    assert again.code == forced.code == 0
    assert again.out.startswith("nothing is due: ")
    assert forced.json["requests"] == 13
    assert forced.json["stored"] == 0


def test_named_symbols_are_requested_however_fresh_and_once_each(collected: Collected, tmp_path: Path) -> None:
    copy = collected.backup(tmp_path / "sandbox.db")
    name = collected.names[0]

    ended = collected(
        "--database", str(copy), "collect", "--sandbox", "--latency", "0", "--json", "--", name.lower(), name
    )

    assert ended.code == 0
    assert f"pipeline: duplicate symbols ignored: {name}\n" in ended.err
    assert ended.json["symbols"] == ended.json["requests"] == 1


def test_a_run_ends_at_max_requests(collected: Collected, tmp_path: Path) -> None:
    ended = collected(
        "--database", str(tmp_path / "x.db"), "collect", "--sandbox", "--latency", "0", "--max-requests", "3", "--json"
    )

    assert ended.code == ExitCode.QUOTA
    assert ended.json["status"] == "quota_exhausted"
    assert ended.json["requests"] == 3
    assert ended.json["deferred"] == 10


def test_quiet_prints_nothing_about_a_complete_run(collected: Collected, tmp_path: Path) -> None:
    ended = collected("-q", "--database", str(tmp_path / "x.db"), "collect", "--sandbox", "--latency", "0")

    assert ended == Ended(0, "", "")


def test_an_empty_folder_and_a_key_are_enough(tmp_path: Path, silent: SilentServer) -> None:
    ended = call(
        tmp_path,
        *("collect", "AAPL", "--json"),
        ALPHAVANTAGE_API_KEY=KEY,
        PIPELINE_SOURCE__LIMITS="[]",
        PIPELINE_SOURCE__BASE_URL=silent.url,
        PIPELINE_SOURCE__TIMEOUT_SECONDS="0.1",
        PIPELINE_COLLECT__ATTEMPTS="1",
    )

    assert ended.code == ExitCode.FAILED
    assert ended.json["failed"] == 1
    (database,) = tmp_path.rglob("overviews.db")
    assert str(database) in ended.err
    assert KEY not in ended.err
