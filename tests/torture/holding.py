"""Holding: what has to hold after a scene that was cut short, while the program is asked to do the next thing."""

import fcntl
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.doctor.database import check_database
from pipeline.doctor.findings import Level
from tests.torture.contents import Contents, contents, made_at
from tests.torture.scenes import COPIES, DATABASE, KEPT, Theatre
from tests.torture.stage import Played
from tests.torture.whole import Whole

ACKNOWLEDGED = frozenset({"symbol stored", "symbol unchanged"})
_NOT_YET = ("no database at", "is empty", "older schema", "half migrated", "pipeline migrate")
"""What a question is told where a record is still to be begun or migrated."""
_MARKER = f"{DATABASE.name}.record."
"""What is half-written of the marker: the next run that requests something removes it."""
_COLLECT = ("collect", "--force", "AAPL")
_BROUGHT_NOTHING = "brought no overview"
_DOCUMENT = '"Symbol"'
_TODAY = re.compile(r"(?!2026-01)\d{4}-\d\d-\d\d(?=T\d{6}Z)")


def acknowledged(said: str) -> Counter[str]:
    """Return how often a program said of each symbol that its observation is stored."""
    lines = (json.loads(line) for line in said.splitlines() if line.startswith("{") and line.endswith("}"))
    return Counter(line["symbol"] for line in lines if line["event"] in ACKNOWLEDGED)


def finding(database: Path, now: datetime, *, thorough: bool) -> str | None:
    """Return what doctor finds wrong with a record, None if it is sound."""
    found = check_database(
        database, now=now, thorough=thorough, backup_after=timedelta(days=9999), renames=(), symbols=()
    )
    return next((f"doctor: {one.found}" for one in found if one.level is Level.PROBLEM), None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A scene that was killed or let down, and what is known of the record that it left."""

    stage: Theatre
    whole: Whole
    """The scene, and what it leaves when it ends well."""
    folder: Path
    played: Played
    failed: int
    """How many operations failed by order."""

    def problems(self, following: str) -> Iterator[str]:
        """Yield what does not hold, in a next command (`question`, `run` or `same`), and when the scene is repeated."""
        scene = self.whole.scene
        yield from self._half_made(is_done=not self.played.code)
        if not self.played.code:
            yield from self._lost()
        if following == "question":
            asked = self.stage.play(self.folder, "status", "--json", variables=scene.fleet)
            if asked.code and not (self._may_be_refused(asked) or any(text in asked.err for text in _NOT_YET)):
                yield f"status then ended with {asked.code}: {asked.err.strip()}"
        elif following == "run":
            run = self.stage.play(self.folder, *_COLLECT)
            if run.code and not self._may_be_refused(run):
                yield f"collect then ended with {run.code}: {run.err.strip()}"
        yield from self._repeated()
        yield from self._lost()
        if following != "run":  # of which there is more to write
            yield from self._half_made(is_done=True)
        yield from self._left_undone()

    def _repeated(self) -> Iterator[str]:
        """Yield what does not hold once the scene was repeated, on another day by the names of what it makes."""
        scene = self.whole.scene
        for copy in (self.folder / COPIES).glob("*"):
            copy.rename(copy.with_name(_TODAY.sub("2026-01-20", copy.name)))
        with _written_by_another([self.folder / path for path in scene.makes]) as partials:
            again = self.stage.perform(scene, self.folder)
            if lost := [path.name for path in partials if not path.exists()]:
                yield f"repeated, it removed what another process was writing: {', '.join(lost)}"
        if again.code and not (scene.says_done and scene.says_done in again.err):
            yield f"repeated, it ended with {again.code}: {again.err.strip()}"
        if scene.asks and _DOCUMENT not in again.out and not self._waits(again):
            yield f"repeated, it answered {again.out[:200]!r}"
        if (then := scene.then(self.folder)) != self.whole.then:
            yield f"in the end there is {then}, not {self.whole.then}"
        if problem := finding(self.folder / DATABASE, datetime.now(UTC), thorough=False):
            yield problem

    def _may_be_refused(self, played: Played) -> bool:
        return self.whole.scene.command[0] == "restore" and "pipeline restore was interrupted" in played.err

    def _lost(self) -> Iterator[str]:
        try:
            found = contents(self.folder / DATABASE)
        except (sqlite3.Error, ValueError) as error:
            yield f"{type(error).__name__}: {error}"
            return
        before = self.whole.before
        if self.whole.scene.is_run:
            needed, counts = before, Counter(symbol for symbol, *_ in before.observations)
            counts += acknowledged(self.played.err) | self._answered()
            if lost := counts - Counter(symbol for symbol, *_ in found.observations):
                yield f"lost what was acknowledged: {dict(lost)}"
        else:
            needed = self.whole.after
            if kept := (before.observations - needed.observations) & found.observations:
                yield f"still has what it was to lose: {sorted(kept)[:3]}"
        if lost_observations := needed.observations - found.observations:
            yield f"lost observations: {sorted(lost_observations)[:3]}"
        if unknown := found.lacks(before.requests + Counter(self.stage.requests)):
            yield f"the ledger lacks requests that the API got: {dict(unknown)}"

    def _answered(self) -> Counter[str]:
        """Return which company a client has got the document of."""
        return Counter(filter(None, [self.whole.scene.asks if _DOCUMENT in self.played.out else None]))

    def _waits(self, again: Played) -> bool:
        """Return whether a company is requested later, as a slot of a run that was killed brought nothing."""
        return _BROUGHT_NOTHING in again.out and self.whole.scene.asks in contents(self.folder / DATABASE).requests

    def _half_made(self, *, is_done: bool) -> Iterator[str]:
        """Yield what is neither as it was nor as the command makes it: only the latter, once that is done."""
        scene = self.whole.scene
        before = {} if is_done or scene.before is None else scene.made(scene.before)
        for path, whole in self.whole.made.items():
            try:
                found = made_at(self.folder / path)
            except (sqlite3.Error, ValueError) as error:
                yield f"{path}: {type(error).__name__}: {error}"
                continue
            if found != whole and (is_done or found != before.get(path)):
                yield f"{path} is {'not there' if found is None else 'not whole'}"
        if COPIES in self.whole.made:
            copies = len([*(self.folder / COPIES).glob("*.db")])
            if copies < KEPT or copies > KEPT + (not is_done):
                yield f"{COPIES} has {copies} copies"

    def _left_undone(self) -> Iterator[str]:
        """Yield what is left to be done once the scene was repeated, and what the daemon did twice."""
        left = [path.name for path in self.folder.rglob("*.partial*")]
        if left := sorted(name for name in left if not name.startswith(_MARKER)):
            yield f"leaves {', '.join(left)}"
        if not self.whole.scene.is_run:
            return
        before, after, found = self.whole.before, self.whole.after, contents(self.folder / DATABASE)
        waiting = {*found.requests} & {self.whole.scene.asks}
        if missing := symbols_of(after, since=before) - symbols_of(found, since=before) - waiting:
            yield f"never observed: {', '.join(sorted(missing))}"
        requests = Counter(self.stage.requests)
        if self.whole.scene.is_daemon and (twice := [s for s in acknowledged(self.played.err) if requests[s] > 1]):
            yield f"requested again for the same fire time: {', '.join(twice)}"


@contextmanager
def _written_by_another(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Hold a partial file of each target, or in a folder of dated ones, as a process does that is writing it."""
    names = [target / "overviews-2026-01-09T000000Z.db" if target.name == COPIES.name else target for target in targets]
    partials = [name.with_name(f"{name.name}.0123abcd.partial") for name in names if name.parent.is_dir()]
    descriptors = []
    try:
        for partial in partials:
            descriptors.append(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
            fcntl.flock(descriptors[-1], fcntl.LOCK_EX)
        yield partials
    finally:
        for partial, descriptor in zip(partials, descriptors, strict=False):
            partial.unlink(missing_ok=True)
            os.close(descriptor)


def symbols_of(record: Contents, *, since: Contents) -> set[str]:
    """Return the symbols that were observed since a record was as it was."""
    return {symbol for symbol, *_ in record.observations - since.observations}


def attempted(stage: Theatre, whole: Whole, *, out: Path | None = None) -> Attempt:
    """Play a scene, as the library has its orders, in a new folder, and return what came of it. The orders end then."""
    folder = stage.disk / "attempt"
    whole.scene.prepare(folder)
    stage.requests.clear()
    played = stage.perform(whole.scene, folder, out=out)
    failed = stage.interposed.failed
    stage.interposed.order()
    return Attempt(stage, whole, folder, played, failed)
