"""`pipeline health`: one line, and exit code 7 if something is wrong. (A daemon that runs: test_daemon_process.py.)"""

import json
from pathlib import Path

from pipeline.errors import ExitCode
from pipeline.monitoring import heartbeat
from tests.support.collected import Collected
from tests.support.commands import call
from tests.support.monitoring import BEAT, HEARTBEAT_KEYS


def test_without_a_daemon_it_ends_with_7_and_names_the_command_that_starts_one(collected: Collected) -> None:
    ended = collected.at_sandbox("health")

    assert (ended.code, ended.err) == (ExitCode.STALE, "")
    assert ended.out.startswith("unhealthy: ")
    assert ended.out.count("\n") == 1
    assert "pipeline run" in ended.out


def test_json_lists_what_is_wrong(collected: Collected) -> None:
    (name, *_) = collected.names
    listed = json.dumps([name, "NEVERASKED"])
    ended = collected.at_sandbox(
        "health", "--json", PIPELINE_SYMBOLS__LIST=listed, PIPELINE_STATUS__STALE_AFTER_HOURS="0.000001"
    )

    assert ended.code == ExitCode.STALE
    assert list(ended.json) == ["healthy", "ailments", "daemon", "pending", "uncovered"]
    assert ended.json["healthy"] is False
    assert any(name in text for text in ended.json["ailments"])
    assert not any("NEVERASKED" in text for text in ended.json["ailments"])
    assert ended.json["pending"] == ["NEVERASKED"]


def test_a_foreign_file_is_named(folder: Path, alien: dict[str, Path]) -> None:
    ended = call(folder, "health", "--database", str(alien["theirs"]))

    assert ended.code == ExitCode.STALE
    assert str(alien["theirs"]) in ended.out


def test_the_daemon_in_json_has_the_keys_of_its_heartbeat(folder: Path) -> None:
    (folder / "data").mkdir()
    heartbeat.write(folder / "data" / "overviews.db", BEAT)

    ended = call(folder, "health", "--json")

    assert list(ended.json["daemon"]) == HEARTBEAT_KEYS
    assert ended.json["daemon"]["at"] == "2026-03-14T18:30:00.000Z"
