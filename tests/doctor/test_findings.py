"""Findings: the exit code says what the first problem is about."""

from pipeline.doctor.findings import Finding, Level, exit_code
from pipeline.errors import ExitCode
from pipeline.monitoring.checks import Kind
from pipeline.settings.load import Settings


def test_the_first_problem_decides(settings: Settings) -> None:
    first = Finding(Kind.KEY, Level.PROBLEM, "", "")
    second = Finding(Kind.DISK, Level.PROBLEM, "", "")
    note = Finding(Kind.CONFIGURATION, Level.NOTE, "", "")

    assert exit_code([note, first, second]) == ExitCode.REFUSED
    assert exit_code([note, second, first]) == ExitCode.FAILED
    assert exit_code([note]) == ExitCode.DONE
