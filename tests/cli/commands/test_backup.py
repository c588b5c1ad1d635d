"""`pipeline backup`: a copy of the database."""

import re
from datetime import timedelta
from pathlib import Path

from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.store.backup import Backup, note_backup
from pipeline.store.migrate import migrate
from tests.support.clocks import START
from tests.support.collected import Collected
from tests.support.commands import assert_note, assert_refused, call
from tests.support.database import earlier_migrations


def test_a_backup_never_overwrites_a_file(collected: Collected, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    made = collected.at_sandbox("backup", str(copy), "--json")
    before = copy.read_bytes()
    again = collected.at_sandbox("backup", str(copy))

    assert made.code == 0
    assert made.json == {"file": str(copy), "bytes": len(before), "removed": [], "noted": True}
    assert_refused(again, ExitCode.FAILED, "exists: choose another name")
    assert copy.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]
    snapshots = call(collected.folder, "--database", str(copy), "status", "--json").json["snapshots"]
    assert snapshots == collected.at_sandbox("status", "--json").json["snapshots"]


def test_status_and_doctor_know_the_last_backup(collected: Collected, tmp_path: Path) -> None:
    copy = str(collected.backup(tmp_path / "sandbox.db"))
    made = collected("--database", copy, "backup", "--keep", "1", str(tmp_path), "--json").json

    (found,) = [one for one in collected("--database", copy, "doctor", "--json").json if one["check"] == "backup"]
    assert found["level"] == "ok"
    assert made["file"] in found["found"]
    known = collected("--database", copy, "status", "--json").json["last_backup"]
    assert known is not None

    note_backup(Path(copy), Backup(utc_now() + timedelta(days=365), tmp_path / "ahead.db", 1))
    assert collected("--database", copy, "status", "--json").json["last_backup"] == known
    shown = collected("--database", copy, "status").out
    assert re.search(r"last backup +.* UTC, and a backup dated in the future, .* UTC: it does not count", shown)


def test_a_backup_that_cannot_be_noted_is_a_backup_all_the_same(tmp_path: Path) -> None:
    migrate(tmp_path / "old.db", now=START, folder=earlier_migrations(tmp_path, 3))

    made = call(tmp_path, "--database", "old.db", "backup", "copy.db", "--json")

    assert made.code == ExitCode.DONE
    assert made.json["noted"] is False
    assert_note(made, "could not be noted", "pipeline migrate")
    assert (tmp_path / "copy.db").stat().st_size == made.json["bytes"]
