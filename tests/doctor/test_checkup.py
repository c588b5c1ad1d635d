"""The checkup: what is examined, in which order, and that nothing is changed by it."""

from datetime import UTC, datetime
from pathlib import Path

from pipeline.doctor.checkup import findings
from pipeline.doctor.findings import Level
from pipeline.errors import ExitCode
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings
from tests.support.checkups import BAD_LINE, Examined, code
from tests.support.clocks import START


def test_without_problems_every_check_is_ok_and_the_exit_code_is_0(examined: Examined) -> None:
    found = examined()

    assert list(found) == [
        "python", "sqlite", "configuration", "symbols", "threshold", "key", "network", "disk",
        "clock", "file system", "database", "integrity", "looks", "backup",
    ]  # fmt: skip
    may_be_noted = ("sqlite", "network", "disk", "file system", "backup")
    assert {one.level for name, one in found.items() if name not in may_be_noted} == {Level.OK}
    assert code(found) == ExitCode.DONE


def test_every_note_and_problem_has_a_remedy(
    examined: Examined, database: Path, settings: Settings, tmp_path: Path
) -> None:
    broken = Environment({"PIPELINE_SOURCE__PLANN": "x"}, problems=(BAD_LINE,))
    database.chmod(0o644)
    wrong = [
        *findings(settings, broken, now=datetime(2020, 1, 1, tzinfo=UTC), thorough=False),
        *findings(SettingsError("x: y"), broken, now=START, thorough=False),
    ]

    assert len([one for one in wrong if one.level is not Level.OK]) >= 6
    assert all(one.remedy for one in wrong if one.level is not Level.OK)


def test_the_doctor_changes_nothing(examined: Examined, database: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".db", ".toml")}

    examined()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".db", ".toml")} == before
