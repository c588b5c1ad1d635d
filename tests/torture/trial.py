"""Trials: attacks on a promise that last as long as they are given, and mistakes in the code that each has to find."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: in a file of the project, by its path there, the only `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    is_slow: bool = False
    """Whether it takes longer than some seconds to find: then it is left out of the short form."""


class Result(msgspec.Struct, frozen=True):
    """What a trial tried, how often, and the promises that it saw broken, in a line each."""

    tried: dict[str, int]
    broken: list[str]
    seconds: float
    left: int = 0
    """Attempts of a fixed number for which there was no time."""


_MOST_BROKEN = 20
"""Lines kept of what is broken."""


@dataclass(slots=True)
class Bout:
    """One run of a trial: its folder, its randomness, its time, and what it has found so far."""

    folder: Path
    seconds: float
    seed: int
    stops_when_broken: bool = False
    """Whether the first broken promise ends it: for a mutant, one is enough."""
    attempts: int | None = None
    """The most attempts. None: as many as there is time for."""
    tried: Counter[str] = field(default_factory=Counter)
    random: Random = field(init=False)
    _broken: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _begun: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def goes_on(self) -> bool:
        """Return whether there is to be another attempt: call it once for each."""
        if (self._broken and self.stops_when_broken) or self._begun == self.attempts:
            return False
        if time.monotonic() - self._began >= self.seconds:
            return False
        self._begun += 1
        return True

    def count(self, what: str, number: int = 1) -> None:
        """Count what was tried, such as `power cuts`."""
        self.tried[what] += number

    def broken(self, how: str) -> None:
        """Note a broken promise, in a line that lets somebody try it again."""
        if len(self._broken) < _MOST_BROKEN:
            self._broken.append(how)

    def result(self) -> Result:
        """Return what was tried and found. A trial that tried nothing has shown nothing: that is broken, too."""
        broken = list(self._broken)
        if not broken and not self.tried.total():
            broken.append("nothing was tried")
        left = 0 if self.attempts is None or self._broken else self.attempts - self._begun
        return Result(dict(self.tried), broken, time.monotonic() - self._began, left)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment for `python -m pipeline` of the tree under test, and of no user's configuration."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIPELINE_", "ALPHAVANTAGE_", "COV_", "LD_PRELOAD"))
        }
        return {**inherited, "PYTHONPATH": str(Path.cwd()), "HOME": str(self.folder), **more}


def _always() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Trial:
    """An attack on a promise of docs/guarantees.md."""

    name: str
    promise: str
    """What must hold, in a few words, for the scoreboard."""
    run: Callable[[Bout], None]
    """Attempts while `bout.goes_on()`. Deterministic by the seed, as far as processes and threads allow."""
    mutants: tuple[Mutant, ...]
    """Mistakes that it has to find, each within seconds."""
    needs: Callable[[], str | None] = _always
    """Returns why it cannot run on this machine, None if it can."""
    share: float = 1.0
    """How much of the time it gets, compared with others."""
    short_attempts: int = field(kw_only=True)
    """Attempts in the short form: far fewer than a slow machine has time for, so that each machine tries the same."""


def only(old: str, source: str, file: str) -> None:
    """Check that a mutant still fits: that its text is once in the source. Raise ValueError."""
    if (found := source.count(old)) != 1:
        raise ValueError(f"{file} has {old!r} {found} times, not once: write its mutant again")


def mutated(sources: Mapping[str, str], mutant: Mutant) -> str:
    """Return the mutated source of the mutant's file. Raise ValueError if it does not fit any more."""
    source = sources[mutant.file]
    only(mutant.old, source, mutant.file)
    return source.replace(mutant.old, mutant.new)
