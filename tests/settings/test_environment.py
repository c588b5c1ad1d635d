"""The environment: `.env` adds to it, and its problems are reported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.settings.environment import (
    API_KEY,
    NOTIFY_URLS,
    PING_URL,
    WEB_TOKEN,
    Environment,
    is_setting,
    variable_of,
    with_dotenv,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.schema import SETTABLE


def test_dotenv_adds_to_the_environment_and_never_overrides_it(dotenv: Callable[..., Environment]) -> None:
    found = dotenv("A=file\nB=file\n", A="set")

    assert found.variables == {"A": "set", "B": "file"}
    assert found.origin("A") == "A"
    assert found.origin("B") == ".env: B"


def test_nothing_in_dotenv_is_interpolated(dotenv: Callable[..., Environment]) -> None:
    assert dotenv(f"{API_KEY}=a$HOME${{PATH}}b\n", HOME="x", PATH="y").variables[API_KEY] == "a$HOME${PATH}b"


@pytest.mark.parametrize("line", ["what is this", "A: b", "=x", "A", 'A="open'])
def test_an_invalid_line_of_dotenv_is_ignored_and_reported(dotenv: Callable[..., Environment], line: str) -> None:
    found = dotenv(f"# mine\n{line}\n")

    assert found.variables == {}
    assert len(found.problems) == 1
    assert "line 2 " in str(found.problems[0])
    assert "NAME=value" in str(found.problems[0])


def test_the_lines_around_an_invalid_one_are_used(dotenv: Callable[..., Environment]) -> None:
    assert dotenv("A=1\nwhat is this\nexport B='2'\n").variables == {"A": "1", "B": "2"}


def test_a_key_that_other_users_can_read_is_reported(dotenv: Callable[..., Environment]) -> None:
    (problem,) = dotenv(f"{API_KEY}=abc\n", mode=0o644).problems

    assert "chmod 600" in str(problem)
    assert "abc" not in str(problem)


@pytest.mark.parametrize("name", [NOTIFY_URLS, PING_URL, WEB_TOKEN])
def test_other_secrets_that_other_users_can_read_are_reported(dotenv: Callable[..., Environment], name: str) -> None:
    (problem,) = dotenv(f"{name}=abc\n", mode=0o644).problems

    assert "chmod 600" in str(problem)


def test_a_dotenv_without_secrets_may_be_readable_by_others(dotenv: Callable[..., Environment]) -> None:
    assert dotenv(f"PIPELINE_SOURCE__PLAN=free\n{API_KEY}=\n", mode=0o644).problems == ()


def test_a_missing_dotenv_is_not_a_problem(tmp_path: Path) -> None:
    assert with_dotenv({"A": "1"}, tmp_path / ".env") == Environment({"A": "1"})


def test_a_dotenv_that_is_a_folder_is_reported_and_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    found = with_dotenv({"A": "1"}, tmp_path / ".env")

    assert found.variables == {"A": "1"}
    assert "cannot be read (is a directory)" in str(found.problems[0])


@pytest.mark.parametrize("target", ["nowhere", ".env"])
def test_a_dotenv_that_is_a_link_to_nothing_is_reported(tmp_path: Path, target: str) -> None:
    (tmp_path / ".env").symlink_to(target)

    found = with_dotenv({"A": "1"}, tmp_path / ".env")

    assert found.variables == {"A": "1"}
    assert ".env: cannot be read" in str(found.problems[0])


def test_a_dotenv_that_is_not_utf_8_is_reported_and_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")

    assert "cannot be read (not UTF-8)" in with_dotenv({}, tmp_path / ".env").problems[0].problem


def test_a_dotenv_in_a_parent_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("A=1")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")

    assert with_dotenv({}, Path(".env")).variables == {}


@pytest.mark.parametrize("content", [f"\ufeff{API_KEY}=abc\n", f"\ufeffA=1\r\n\ufeff{API_KEY}=abc\r\n"])
def test_a_byte_order_mark_in_dotenv_is_skipped(dotenv: Callable[..., Environment], content: str) -> None:
    """That of each file, where several were joined."""
    found = dotenv(content)

    assert found.variables[API_KEY] == "abc"
    assert found.problems == ()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_dotenv_in_another_encoding_is_an_error_that_says_so(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_bytes(f"{API_KEY}=abc\n".encode(encoding))

    (problem,) = with_dotenv({}, tmp_path / ".env").problems

    assert isinstance(problem, SettingsError)
    assert str(problem).startswith(f"{tmp_path / '.env'}: the text is in UTF-16; save it as UTF-8")


def test_each_key_has_a_variable_spelt_with_the_prefix_in_upper_case() -> None:
    assert all(is_setting(variable_of(key)) for key in SETTABLE)
    assert variable_of("source.plan") == "PIPELINE_SOURCE__PLAN"
    assert not any(map(is_setting, ["SOURCE__PLAN", "DATABASE", "pipeline_database", "PIPELINE_PLAN", PING_URL]))


def test_broken_lines_are_one_problem_however_many_there_are(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=b\n" + "no equals sign\n" * 3_000)

    found = with_dotenv({}, tmp_path / ".env")

    assert found.variables == {"A": "b"}
    (problem,) = map(str, found.problems)
    assert "2, 3" in problem
    assert len(problem.replace(str(tmp_path), "")) < 120


def test_a_file_that_would_take_seconds_to_parse_is_ignored_and_reported(dotenv: Callable[..., Environment]) -> None:
    found = dotenv(f"A=1\n{'#' * 64_000}\n")
    assert found.variables == {}
    (problem,) = found.problems
    assert "has 64,005 characters, more than 64,000, and is ignored" in str(problem)
    assert dotenv(f"A=1\n#{'x' * 63_990}\n").variables == {"A": "1"}
