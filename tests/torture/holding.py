"""Holding: what has to hold after a scene that was cut short, while the program is asked to do the next thing."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.torture.contents import Contents, contents, is_whole
from tests.torture.scenes import DATABASE, Scene, Theatre
from tests.torture.stage import Played

ACKNOWLEDGED = frozenset({"symbol stored", "symbol unchanged"})
_NOT_YET = ("no database at", "is empty", "older schema", "half migrated", "pipeline migrate")
"""What a question is told where a record is still to be begun or migrated."""
_COLLECT = ("collect", "--force", "AAPL")


def acknowledged(said: str) -> Counter[str]:
    """Return how often a program said of each symbol that its observation is stored."""
    lines = (json.loads(line) for line in said.splitlines() if line.startswith("{") and line.endswith("}"))
    return Counter(line["symbol"] for line in lines if line["event"] in ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A scene that was killed or let down, and what is known of the record that it left."""

    stage: Theatre
    scene: Scene
    folder: Path
    before: Contents
    after: Contents
    """What the record has when the scene ends well."""
    played: Played
    failed: int
    """How many operations failed by order."""

    def problems(self, following: str) -> Iterator[str]:
        """Yield what does not hold, in a next command (`question`, `run` or `same`), and when the scene is repeated."""
        if not self.played.code:
            yield from self._lost()
        if following == "question":
            asked = self.stage.play(self.folder, "status", "--json")
            if asked.code and not (self._may_be_refused(asked) or any(text in asked.err for text in _NOT_YET)):
                yield f"status then ended with {asked.code}: {asked.err.strip()}"
        elif following == "run":
            run = self.stage.play(self.folder, *_COLLECT)
            if run.code and not self._may_be_refused(run):
                yield f"collect then ended with {run.code}: {run.err.strip()}"
        again = self.stage.play(self.folder, *self.scene.command, variables=self.scene.variables)
        if again.code and not (self.scene.makes is not None and "exists" in again.err):
            yield f"repeated, it ended with {again.code}: {again.err.strip()}"
        yield from self._lost()

    def _may_be_refused(self, played: Played) -> bool:
        return self.scene.command[0] == "restore" and "pipeline restore was interrupted" in played.err

    def _lost(self) -> Iterator[str]:
        try:
            found = contents(self.folder / DATABASE)
            copied = self.scene.makes is None or is_whole(self.folder / self.scene.makes, self.before)
        except (sqlite3.Error, ValueError, OSError) as error:
            yield f"{type(error).__name__}: {error}"
            return
        if self.scene.is_run:
            needed, counts = self.before, Counter(symbol for symbol, *_ in self.before.observations)
            counts += acknowledged(self.played.err)
            if lost := counts - Counter(symbol for symbol, *_ in found.observations):
                yield f"lost what was acknowledged: {dict(lost)}"
        else:
            needed = self.after
            if kept := (self.before.observations - self.after.observations) & found.observations:
                yield f"still has what it was to lose: {sorted(kept)[:3]}"
        if lost_observations := needed.observations - found.observations:
            yield f"lost observations: {sorted(lost_observations)[:3]}"
        if unknown := found.lacks(self.before.requests + Counter(self.stage.requests)):
            yield f"the ledger lacks requests that the API got: {dict(unknown)}"
        if not copied:
            yield f"{self.scene.makes} is not whole"


def attempted(stage: Theatre, scene: Scene, before: Contents, after: Contents, *, out: Path | None = None) -> Attempt:
    """Play a scene, as the library has its orders, in a new folder, and return what came of it. The orders end then."""
    folder = stage.disk / "attempt"
    scene.prepare(folder)
    stage.requests.clear()
    played = stage.play(folder, *scene.command, out=out, variables=scene.variables)
    failed = stage.interposed.failed
    stage.interposed.order()
    return Attempt(stage, scene, folder, before, after, played, failed)
