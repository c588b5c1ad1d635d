"""`pipeline restore`: a backup in the database's place."""

import fcntl
import shutil
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.store.lock import daemon_lock_path, lock_path
from tests.support.commands import Ended, assert_refused, call
from tests.support.killed import killed_after_commit
from tests.support.observations import text


@pytest.fixture
def copy(live: Path, tmp_path: Path) -> Path:
    """Return a backup of it."""
    path = tmp_path / "copy.db"
    assert call(tmp_path, "--database", str(live), "backup", str(path)).code == 0
    return path


def at(live: Path, *arguments: str) -> Ended:
    """Call a command on the database."""
    return call(live.parent, "--database", str(live), *arguments)


def test_it_says_what_is_restored_and_where_the_old_file_is(live: Path, copy: Path) -> None:
    before = at(live, "status", "--json").json["snapshots"]
    ended = at(live, "restore", str(copy))

    assert ended.code == ExitCode.DONE
    (replaced,) = live.parent.glob("overviews.db.replaced-*Z")
    for words in (
        f"{live} is restored from {copy}",
        f"{before} snapshots of 2 symbols",
        str(replaced),
        "newest snapshot",
    ):
        assert words in ended.out
    assert at(live, "status", "--json").json["snapshots"] == before


def test_its_json_has_the_same_facts(live: Path, copy: Path) -> None:
    done = at(live, "restore", str(copy), "--json").json

    assert list(done) == [
        "database", "file", "replaced", "newest_snapshot", "snapshots", "symbols", "runs", "requests_carried",
        "blocked_until", "blocked_reason",
    ]  # fmt: skip
    assert (done["database"], done["file"], done["symbols"]) == (str(live), str(copy), 2)
    assert Path(done["replaced"]).exists()
    assert done["newest_snapshot"] == text(30)
    assert done["blocked_until"] is None


@pytest.mark.parametrize("lock", [lock_path, daemon_lock_path])
def test_it_refuses_while_anything_runs(live: Path, copy: Path, lock: object) -> None:
    before = live.read_bytes()
    with lock(live).open("w") as held:  # type: ignore[operator]
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = at(live, "restore", str(copy))

    assert_refused(ended, ExitCode.BUSY, "another")
    assert live.read_bytes() == before


def test_what_a_plain_copy_beside_an_old_log_would_have_damaged_is_restored(live: Path, copy: Path) -> None:
    killed_after_commit(live, live.with_name("killed.db"))
    live.with_name("killed.db-wal").replace(live.with_name("overviews.db-wal"))
    shutil.copy(copy, live)
    content = copy.read_bytes()

    for command in (["status"], ["collect", "--sandbox"], ["backup", "b.db"], ["doctor"]):
        ended = at(live, *command)
        assert ended.code != ExitCode.DONE
        assert "overviews.db-wal was left by another file" in ended.err + ended.out
        assert "pipeline restore" in ended.err + ended.out
    assert live.read_bytes() == content
    # What that log holds is not the ledger of this copy, so nobody knows what was requested since.
    assert at(live, "restore", str(copy), "--json").json["blocked_until"] is not None
    (found,) = [one["level"] for one in at(live, "doctor", "--json").json if one["check"] == "integrity"]
    assert found == "ok"


def test_a_vanished_record_is_restored_and_does_not_collect_at_once_unless_nothing_was_requested(
    live: Path, copy: Path
) -> None:
    live.unlink()
    done = at(live, "restore", str(copy))
    assert "no requests before" in done.out
    for command in ("status", "plan"):
        assert "blocked" in at(live, command).out
    assert "--idle-since-backup" in done.out

    assert at(live, "restore", str(copy), "--idle-since-backup", "--json").json["blocked_until"] is None
