"""The scoreboard: what was tried of each promise and what was found, as a table for people and the documentation."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.torture.running import PROJECT
from tests.torture.trial import Result, Trial

GUARANTEES = PROJECT / "docs" / "guarantees.md"
_BEGIN, _END = "<!-- scoreboard -->", "<!-- end -->"
_HEAD = "`make torture` on {on}, commit `{commit}`, {minutes:.0f} minutes on two cores:"


@dataclass(frozen=True, slots=True)
class Score:
    """How one trial went. `result`: None where it was skipped; `missed`: mutants that it did not find."""

    trial: Trial
    result: Result | None
    caught: int
    missed: Sequence[str]
    skipped: str | None = None
    failed: str | None = None
    """Why there is no result, though there should be one."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is broken, and every mistake was found."""
        return self.failed is None and not self.missed and not (self.result and self.result.broken)

    @property
    def tried(self) -> str:
        """What was tried, such as `30,101 power cuts`."""
        if self.result is None:
            return f"skipped: {self.skipped}" if self.skipped else "no result"
        return ", ".join(_of_all(f"{number:,} {what}") for what, number in self.result.tried.items())

    @property
    def found(self) -> str:
        """What was found, in a few words."""
        if self.result is None:
            return "" if self.failed is None else "FAILED"
        broken = len(self.result.broken)
        missed = f"; MISSED {', '.join(self.missed)}" if self.missed else ""
        return f"{f'BROKEN: {broken}' if broken else 'held'}{missed}"


def _of_all(tried: str) -> str:
    """Return `all 500 changes` for `500 of 500 changes`."""
    return re.sub(r"^([1-9][\d,]*) of \1 ", r"all \1 ", tried)


def rows(scores: Sequence[Score]) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table: trial, what was tried, what was found, mutants found."""
    return [(one.trial.name, one.tried, one.found, f"{one.caught} of {one.caught + len(one.missed)}") for one in scores]


def markdown(scores: Sequence[Score], *, seconds: float, commit: str, on: date) -> str:
    """Return the scoreboard for the documentation, with what it was made of and when."""
    lines = [
        _HEAD.format(on=on, commit=commit, minutes=seconds / 60),
        "",
        "| trial | promise | tried | found | mistakes found |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {score.trial.promise} | {tried} | {found} | {mutants} |"
        for score, (name, tried, found, mutants) in zip(scores, rows(scores), strict=True)
    ]
    return "\n".join(lines)


def shown(file: Path = GUARANTEES) -> str:
    """Return the scoreboard that the documentation shows. Raise ValueError if it has no place."""
    _, begin, rest = file.read_text(encoding="utf-8").partition(_BEGIN)
    text, end, _ = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{file} has no {_BEGIN} with an {_END}")
    return text.strip()


def write(text: str, file: Path = GUARANTEES) -> None:
    """Put the scoreboard into the documentation, in place of the last one. Raise ValueError if it has no place."""
    shown(file)
    before, _, rest = file.read_text(encoding="utf-8").partition(_BEGIN)
    file.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")


def commit() -> str:
    """Return the commit of the project, with a `+` if the program differs from it; `unknown` outside a repository."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return f"{head}+" if _git("status", "--porcelain", "--", "pipeline", "migrations") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()
