"""The doctor: each finding with its level and its remedy, and an exit code that says what is worst."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode, Trouble
from pipeline.monitoring.checks import Kind
from pipeline.monitoring.doctor import Finding, Level, exit_code, findings
from pipeline.settings.environment import API_KEY, API_KEY_FILE, Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings, load
from pipeline.store.database import SAFE_SQLITE
from pipeline.store.lock import lock_path
from tests.support.clocks import START

BAD_LINE = Trouble(".env: line 1 is ignored", remedy="write NAME=value")
KEYED = Environment({API_KEY: "S3CR3TK3Y"})

Examined = Callable[..., dict[Kind, Finding]]


@pytest.fixture
def settings(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Sound settings of a sound database."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "pipeline.toml"
    config.write_text('[symbols]\nlist = ["AAPL"]')
    return load(config, Environment({}), database=database)


@pytest.fixture
def examined(settings: Settings) -> Examined:
    """Examine it all, and return the findings by what was checked."""

    def examine(variables: Environment = KEYED, *, now: datetime = START, thorough: bool = True) -> dict[Kind, Finding]:
        return {one.check: one for one in findings(settings, variables, now=now, thorough=thorough)}

    return examine


def code(found: dict[Kind, Finding]) -> int:
    return exit_code(found.values())


def test_without_problems_every_check_is_ok_and_the_exit_code_is_0(examined: Examined) -> None:
    found = examined()

    assert list(found) == [
        "python", "sqlite", "configuration", "symbols", "key", "disk", "clock", "database", "integrity", "looks",
    ]  # fmt: skip
    assert {one.level for name, one in found.items() if name not in ("sqlite", "disk")} == {Level.OK}
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


def test_an_sqlite_that_can_damage_a_file_is_noted(examined: Examined) -> None:
    found = examined()[Kind.SQLITE]

    assert found.found.startswith(sqlite3.sqlite_version)
    assert found.level is (Level.OK if sqlite3.sqlite_version_info >= SAFE_SQLITE else Level.NOTE)


def test_a_configuration_that_cannot_be_used_ends_with_3(settings: Settings) -> None:
    error = SettingsError("pipeline.toml: source.paln: no such key; did you mean source.plan?")

    found = {one.check: one for one in findings(error, KEYED, now=START, thorough=True)}

    assert found[Kind.CONFIGURATION].level is Level.PROBLEM
    assert found[Kind.CONFIGURATION].found == error.problem
    assert code(found) == ExitCode.REFUSED


def test_of_a_key_only_the_length_is_shown(examined: Examined) -> None:
    assert examined()[Kind.KEY].found == "set, 9 characters"


@pytest.mark.parametrize("variables", [{}, {API_KEY: ""}])
def test_a_key_that_is_missing_ends_with_3(examined: Examined, variables: dict[str, str]) -> None:
    found = examined(Environment(variables))

    assert found[Kind.KEY].level is Level.PROBLEM
    assert "alphavantage.co/support" in (found[Kind.KEY].remedy or "")
    assert "alphavantage.co/support" not in found[Kind.KEY].found
    assert code(found) == ExitCode.REFUSED


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [({API_KEY: "two words"}, "copy it again"), ({API_KEY_FILE: "/absent"}, "name a text file")],
)
def test_a_key_that_cannot_be_used_is_corrected_and_not_replaced(
    examined: Examined, variables: dict[str, str], remedy: str
) -> None:
    found = examined(Environment(variables))[Kind.KEY]

    assert found.level is Level.PROBLEM
    assert remedy in (found.remedy or "")
    assert "free" not in (found.remedy or "")


def test_a_bad_dotenv_ends_with_3(examined: Examined) -> None:
    found = examined(Environment({API_KEY: "ABC"}, problems=(BAD_LINE,)))

    assert found[Kind.ENV_FILE].level is Level.PROBLEM
    assert found[Kind.ENV_FILE].found == BAD_LINE.problem
    assert found[Kind.ENV_FILE].remedy == "write NAME=value"
    assert code(found) == ExitCode.REFUSED


def test_a_variable_that_sets_nothing_is_noted(examined: Examined) -> None:
    found = examined(
        Environment({API_KEY: "ABC", "PIPELINE_SOURCE__PLANN": "x", "PIPELINE_DATABASE": "y", "PIPELINE_ENV": "z"})
    )

    assert found[Kind.ENVIRONMENT].level is Level.NOTE
    assert found[Kind.ENVIRONMENT].found == "PIPELINE_SOURCE__PLANN sets nothing"
    assert code(found) == ExitCode.DONE


def test_no_symbols_is_noted(database: Path, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "bare.toml").touch()
    bare = load(tmp_path / "bare.toml", Environment({}), database=database)

    found = {one.check: one for one in findings(bare, KEYED, now=START, thorough=False)}

    assert found[Kind.SYMBOLS].level is Level.NOTE


def test_a_clock_that_is_behind_is_a_problem(examined: Examined) -> None:
    found = examined(now=datetime(2019, 12, 31, tzinfo=UTC))

    assert found[Kind.CLOCK].level is Level.PROBLEM
    assert found[Kind.CLOCK].found == "2019-12-31 00:00:00 UTC"
    assert code(found) == ExitCode.FAILED


def test_an_observation_in_the_future_is_a_problem(examined: Examined, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("INSERT INTO symbols (symbol, last_look) VALUES ('AAPL', '2026-03-14T19:30:00.000Z')")

    assert examined(now=START)[Kind.OBSERVATIONS].level is Level.PROBLEM
    assert examined(now=START + timedelta(hours=1))[Kind.OBSERVATIONS].level is Level.OK


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


def test_a_database_that_is_not_there_yet_is_noted(examined: Examined, database: Path) -> None:
    for path in database.parent.glob("overviews.db*"):
        path.unlink()

    found = examined()

    assert found[Kind.DATABASE].level is Level.NOTE
    assert found[Kind.DATABASE].remedy == "pipeline collect creates it"
    assert code(found) == ExitCode.DONE
    assert not database.exists()


def test_an_empty_database_is_noted(examined: Examined, database: Path) -> None:
    for path in database.parent.glob("overviews.db*"):
        path.unlink()
    database.touch(mode=0o600)

    found = examined()

    assert found[Kind.DATABASE].level is Level.NOTE
    assert "schema 0 of" in found[Kind.DATABASE].found
    assert code(found) == ExitCode.DONE


def test_a_file_that_is_not_a_database_ends_with_1_and_a_remedy(examined: Examined, database: Path) -> None:
    for path in database.parent.glob("overviews.db*"):
        path.unlink()
    database.write_bytes(b"not a database" * 100)

    found = examined()

    assert found[Kind.DATABASE] == Finding(
        Kind.DATABASE, Level.PROBLEM, f"{database}: not a database", "name another file, or move this one away"
    )
    assert code(found) == ExitCode.FAILED


def test_a_database_of_a_newer_version_ends_with_1_and_a_remedy(examined: Examined, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 999")

    found = examined()[Kind.DATABASE]

    assert found.level is Level.PROBLEM
    assert "newer" in found.found
    assert "upgrade" in str(found.remedy)


def test_a_database_that_is_a_folder_ends_with_1_and_a_remedy(settings: Settings, tmp_path: Path) -> None:
    folder = load(settings.config, Environment({}), database=tmp_path)

    found = {one.check: one for one in findings(folder, KEYED, now=START, thorough=True)}

    assert found[Kind.DATABASE] == Finding(Kind.DATABASE, Level.PROBLEM, f"{tmp_path} is a folder", "name a file in it")
    assert code(found) == ExitCode.FAILED


@pytest.mark.parametrize("thorough", [True, False])
def test_a_damaged_database_ends_with_1_and_a_remedy(examined: Examined, database: Path, *, thorough: bool) -> None:
    with closing(sqlite3.connect(database)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'looks'").fetchone()
    content = bytearray(database.read_bytes())
    content[(page - 1) * size : page * size] = b"\xa5" * size
    database.write_bytes(content)

    found = examined(thorough=thorough)

    (problem,) = (one for one in found.values() if one.level is Level.PROBLEM)
    assert "restore a backup" in (problem.remedy or "")
    assert code(found) == ExitCode.FAILED


def test_the_whole_database_is_read_on_request_only(examined: Examined) -> None:
    assert examined(thorough=True)[Kind.INTEGRITY].found == "integrity_check: ok"
    assert examined(thorough=False)[Kind.INTEGRITY].found == "quick_check: ok"


def test_the_first_problem_decides(settings: Settings) -> None:
    first = Finding(Kind.KEY, Level.PROBLEM, "", "")
    second = Finding(Kind.DISK, Level.PROBLEM, "", "")
    note = Finding(Kind.CONFIGURATION, Level.NOTE, "", "")

    assert exit_code([note, first, second]) == ExitCode.REFUSED
    assert exit_code([note, second, first]) == ExitCode.FAILED
    assert exit_code([note]) == ExitCode.DONE


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_database_that_cannot_be_read_ends_with_1(examined: Examined, database: Path) -> None:
    database.chmod(0)

    assert examined()[Kind.DATABASE].level is Level.PROBLEM


def test_the_doctor_changes_nothing(examined: Examined, database: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".db", ".toml")}

    examined()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".db", ".toml")} == before
