"""Every command that writes what the clock shows refuses one that shows a time before there was this program."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import instants
from pipeline.errors import ExitCode
from tests.support.collected import Collected
from tests.support.commands import assert_refused, call


@pytest.mark.parametrize(
    "command",
    [
        ("collect", "--sandbox"),
        ("collect", "--sandbox", "--day", "2026-03-20"),
        ("import", "x.jsonl"),
        ("migrate",),
        ("backup", "made.db"),
        ("restore", "copy.db"),
    ],
)
def test_a_clock_that_is_not_set_writes_nothing(
    collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    database = collected.backup(tmp_path / "sandbox.db")
    collected.backup(tmp_path / "copy.db")
    (tmp_path / "x.jsonl").write_text("")
    before = database.read_bytes()
    monkeypatch.setattr(instants, "EARLIEST_PLAUSIBLE", datetime(9000, 1, 1, tzinfo=UTC))

    refused = call(tmp_path, "--database", "sandbox.db", *command)

    assert_refused(refused, ExitCode.FAILED, "this machine's clock is not set", "set the clock")
    assert database.read_bytes() == before
    assert not (tmp_path / "made.db").exists()
