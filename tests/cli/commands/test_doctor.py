"""`pipeline doctor`: its findings and exit codes."""

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import ExitCode
from tests.support.commands import KEY, call


def test_without_problems_it_ends_with_0(folder: Path) -> None:
    ended = call(folder, "doctor", "--json", ALPHAVANTAGE_API_KEY=KEY)

    assert ended.code == 0
    assert {row["level"] for row in ended.json} <= {"ok", "note"}
    assert all(list(row) == ["check", "level", "found", "remedy"] for row in ended.json)


def test_a_bad_configuration_or_key_ends_with_3(folder: Path, configure: Callable[[str], object]) -> None:
    assert call(folder, "doctor").code == ExitCode.REFUSED
    configure("[source]\nplan = 'fre'")
    wrong = call(folder, "doctor", "--json", ALPHAVANTAGE_API_KEY=KEY)

    assert wrong.code == ExitCode.REFUSED
    assert "'fre'" in next(row["found"] for row in wrong.json if row["check"] == "configuration")


def test_a_bad_database_ends_with_1(folder: Path, alien: dict[str, Path]) -> None:
    for path in alien.values():
        ended = call(folder, "doctor", "--quick", "--database", str(path), ALPHAVANTAGE_API_KEY=KEY)

        assert ended.code == ExitCode.FAILED
        assert "problem" in ended.out
