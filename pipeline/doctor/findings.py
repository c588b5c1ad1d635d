"""Findings: what a check found, how bad it is and what to do about it, and the exit code that follows."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import ExitCode
from pipeline.monitoring.checks import Kind

_CONFIGURED = frozenset({Kind.ENV_FILE, Kind.CONFIGURATION, Kind.THRESHOLD, Kind.KEY, Kind.NOTIFICATIONS, Kind.WEB})
"""Problems of these kinds exit with 3, the others with 1."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: Kind
    level: Level
    found: str
    remedy: str | None = None


def exit_code(found: Iterable[Finding]) -> int:
    """Return 0 if there is no problem, else the exit code of the first one."""
    first = next((one for one in found if one.level is Level.PROBLEM), None)
    if first is None:
        return ExitCode.DONE
    return ExitCode.REFUSED if first.check in _CONFIGURED else ExitCode.FAILED
