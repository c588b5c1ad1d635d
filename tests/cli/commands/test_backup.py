"""`pipeline backup`: a copy of the database."""

from pathlib import Path

from pipeline.errors import ExitCode
from tests.support.collected import Collected
from tests.support.commands import assert_refused, call


def test_a_backup_never_overwrites_a_file(collected: Collected, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    made = collected.at_sandbox("backup", str(copy), "--json")
    before = copy.read_bytes()
    again = collected.at_sandbox("backup", str(copy))

    assert made.code == 0
    assert made.json == {"file": str(copy), "bytes": len(before)}
    assert_refused(again, ExitCode.FAILED, "exists: choose another name")
    assert copy.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]
    snapshots = call(collected.folder, "--database", str(copy), "status", "--json").json["snapshots"]
    assert snapshots == collected.at_sandbox("status", "--json").json["snapshots"]
