"""Checks of the files: who else can read them."""

from pathlib import Path

from pipeline.doctor.findings import Level
from pipeline.monitoring.checks import Kind
from pipeline.store.lock import lock_path
from tests.support.checkups import Examined


def test_files_that_others_can_reach_are_noted(examined: Examined, database: Path, tmp_path: Path) -> None:
    for path in (database, lock_path(database), tmp_path / ".env"):
        path.touch()
        path.chmod(0o640)
        found = examined()[Kind.MODES]
        path.chmod(0o600)

        assert found.level is Level.NOTE
        assert str(path.name) in found.found
        assert (found.remedy or "").startswith("chmod 600 ")
    assert Kind.MODES not in examined()
