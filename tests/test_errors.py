"""Errors that a person can fix: one line, of which the remedy is a part of its own."""

import errno
import os

import pytest

from pipeline.errors import ExitCode, Trouble, file_reason


@pytest.mark.parametrize(
    ("problem", "remedy", "line"),
    [
        ("x.db is a folder", "name a file in it", "x.db is a folder: name a file in it"),
        ("x.db: not a database", "name another file", "x.db: not a database; name another file"),
        ("x.db: not a database", None, "x.db: not a database"),
    ],
)
def test_the_line_joins_problem_and_remedy(problem: str, remedy: str | None, line: str) -> None:
    trouble = Trouble(problem, remedy=remedy)

    assert str(trouble) == line
    assert (trouble.problem, trouble.remedy) == (problem, remedy)
    assert trouble.exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EACCES, os.strerror(errno.EACCES), "x.db"), "permission denied"),
        (OSError("Torn apart"), "torn apart"),
        (OSError(), "oserror"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "not UTF-8"),
        (ValueError("embedded null byte"), "embedded null byte"),
    ],
)
def test_the_reason_for_an_unusable_file_does_not_repeat_its_name(error: OSError | ValueError, reason: str) -> None:
    assert file_reason(error) == reason
