"""Power cuts: what the program wrote is replayed up to a cut, onto a disk that keeps no more than it promised to.

A library between the program and the C library records each change of a file and each line that the program printed,
the API each request, in one order: so it is known at every point what had been acknowledged. A control replays the same
onto a disk that ignores syncs: if that loses nothing, the trial shows nothing.
"""

import errno
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from pipeline.errors import Trouble
from pipeline.store.database import DatabaseError, RecordGone, refuse_foreign
from pipeline.store.marker import read_marker
from pipeline.store.older_copy import is_behind
from pipeline.store.reader import NoData, open_for_reading
from pipeline.store.record import Begin, prepare
from pipeline.store.restore import restore
from tests.torture.contents import Contents, Made, contents
from tests.torture.disk import Disk
from tests.torture.holding import acknowledged, finding
from tests.torture.interposed import NOTED, SAID, SYNC, Operation, missing
from tests.torture.scenes import DATABASE, Scene, Theatre, theatre
from tests.torture.trial import Bout, Mutant, Trial

_DAY = timedelta(days=1)
_ENDED, _REQUESTED = "ended", "requested "
_CUTS_IN_A_PASS = 20
_SYNCS_FAIL = 0.3
"""How often a scene is recorded again after a pass, with a sync that fails."""
_CONTROLS = 10
"""Passes in which a disk that ignores syncs has to lose something."""


@dataclass(slots=True)
class Known:
    """What the program had acknowledged at some point."""

    requests: Counter[str] = field(default_factory=Counter)
    observed: Counter[str] = field(default_factory=Counter)
    """How often each symbol was said to be stored or unchanged."""
    has_ended: bool = False

    def learn(self, operation: Operation) -> None:
        """Learn from what the program said, and what the test noted."""
        text = operation.data.decode(errors="replace")
        if operation.kind == NOTED and text.startswith(_REQUESTED):
            self.requests[text.removeprefix(_REQUESTED)] += 1
        elif operation.kind == NOTED:
            self.has_ended = True
        elif operation.kind == SAID:
            self.observed += acknowledged(text)


@dataclass(frozen=True, slots=True)
class Recording:
    """A scene as it was played: what it began with, what was done, and what was there in the end."""

    scene: Scene
    begun: Path
    operations: tuple[Operation, ...]
    before: Contents
    after: Contents
    made: Mapping[Path, Made]

    def needed(self, known: Known) -> frozenset[tuple[str, str, bytes]]:
        """Return the observations that have to be there."""
        needed = set(self.before.observations)
        for symbol, count in known.observed.items():
            new = [one for one in self.after.of_symbol(symbol) if one not in self.before.observations]
            needed.update(new[:count])
        return self.after.observations if known.has_ended else frozenset(needed)


def record(stage: Theatre, scene: Scene, *, failing_sync: int = 0) -> Recording:
    """Play a scene, in which one of the syncs fails if any, and return the recording.

    Raise AssertionError if it did not end well although no sync failed, or nothing was seen.
    """
    interposed, folder = stage.interposed, stage.disk / "recorded"
    shutil.rmtree(folder, ignore_errors=True)
    scene.prepare(folder)
    begun = stage.disk.with_name(f"begun {scene.name}")
    if not begun.exists():
        scene.prepare(begun)
    before = contents(begun / DATABASE) if scene.before else Contents()
    interposed.fail(SYNC, errno.EIO, failing_sync, failing_sync, records=1)
    interposed.forget()
    stage.requests.on_request = lambda symbol: interposed.note(f"{_REQUESTED}{symbol}")
    for _ in range(scene.times):
        played = stage.perform(scene, folder)
        if played.code:
            break
    stage.requests.on_request = lambda _symbol: None
    if not interposed.changes or (played.code and not interposed.failed):
        raise AssertionError(f"{scene.name}: exit code {played.code}, {interposed.changes} changes: {played.err}")
    if not played.code:
        interposed.note(_ENDED)
    made = scene.made(folder)
    operations = [_in_folder(one, folder.relative_to(stage.disk)) for one in interposed.recorded()]
    interposed.order()
    return Recording(scene, begun, tuple(operations), before, _after(folder / DATABASE), made)


def _after(database: Path) -> Contents:
    """Return what a record holds in the end; nothing, where a first start failed."""
    if not database.exists():
        return Contents()
    try:
        return contents(database)
    except sqlite3.OperationalError:  # there are no tables yet
        return Contents()


def _in_folder(operation: Operation, folder: Path) -> Operation:
    path, other = (one.relative_to(folder) if one != Path() else one for one in (operation.path, operation.other))
    return Operation(operation.kind, operation.error, operation.file, operation.offset, path, other, operation.data)


@dataclass(frozen=True, slots=True)
class Cut:
    """A power cut in a recording, and what was left."""

    recording: Recording
    after: int
    """Of how many operations."""
    known: Known
    folder: Path
    kind: str

    def __str__(self) -> str:
        last = self.recording.operations[self.after - 1]
        return f"{self.recording.scene.name}, {self.kind}, cut after operation {self.after} ({last})"


def cuts(recording: Recording, folder: Path, random: Random, *, is_strict: bool, syncs: bool = True) -> Iterator[Cut]:
    """Yield power cuts at random, each with what it left in a folder."""
    disk, known = Disk(recording.begun, random, is_strict=is_strict, syncs=syncs), Known()
    share = _CUTS_IN_A_PASS / len(recording.operations)
    kind = "strict" if is_strict else "journalled"
    for number, operation in enumerate(recording.operations, start=1):
        if operation.kind in (NOTED, SAID):
            known.learn(operation)
        else:
            disk.apply(operation)
        if random.random() < share or number == len(recording.operations):
            _write(disk, folder)
            yield Cut(recording, number, known, folder, kind)


def _write(disk: Disk, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in disk.after_cut():
        if content is None:
            (folder / path).mkdir(exist_ok=True)
        else:
            (folder / path).write_bytes(content)


# What has to hold after each


def problem(cut: Cut, random: Random) -> str | None:
    """Return what is wrong after a power cut; None if the program opens the files by itself, and all is there."""
    database = cut.folder / DATABASE
    now = datetime.now(UTC)
    try:
        if random.random() < 0.5:
            _ask(database)
        if cut.recording.scene.command[0] != "restore" and is_behind(database):
            return "it is taken for an older copy, and nothing would be requested"
        wants = _open(cut, database, now)
        found = contents(database)
    except (Trouble, sqlite3.Error, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if wants == "restored":  # also where it was recorded with a failing sync, after which there was no database
        backup = contents(Path(cut.recording.scene.command[1]))
        return None if found.observations == backup.observations else "the restore was not completed"
    return (
        _lost(cut, found)
        or _unmarked(cut, database)
        or _made(cut)
        or finding(database, now, thorough=random.random() < 0.2)
    )


def _ask(database: Path) -> None:
    """Ask something first, as a user may. An answer is not needed where a record is still to be begun or migrated."""
    try:
        refuse_foreign(database)
        with open_for_reading(database) as db:
            db.execute("SELECT count(*) FROM overviews").fetchone()
    except (NoData, RecordGone):
        pass
    except DatabaseError as error:
        if "older schema" not in str(error) and "migrat" not in str(error):
            raise


def _open(cut: Cut, database: Path, now: datetime) -> str:
    """Open the record as a run does. Where it says that a restore was interrupted, repeat that."""
    try:
        refuse_foreign(database)
        prepare(database, Begin.FIRST, longest_window=_DAY, now=now)
    except RecordGone as error:
        if cut.recording.scene.command[0] != "restore" or "interrupted" not in str(error):
            raise
        backup = Path(cut.recording.scene.command[1])
        restore(backup, database, longest_window=_DAY, is_idle=False, now=now)
        return "restored"
    return "opened"


def _lost(cut: Cut, found: Contents) -> str | None:
    before, after = cut.recording.before, cut.recording.after
    if before.observations - after.observations:  # all at once, or nothing
        allowed = (after,) if cut.known.has_ended else (before, after)
        if found.observations not in [one.observations for one in allowed]:
            return "neither the record before nor the one after"
    else:
        if lost := cut.recording.needed(cut.known) - found.observations:
            return f"lost what was acknowledged: {sorted(lost)[:3]}"
        if new := found.observations - after.observations:
            return f"has what was never observed: {sorted(new)[:3]}"
    lacking = found.lacks(before.requests + cut.known.requests)
    return f"the ledger lacks requests that the API got: {dict(lacking)}" if lacking else None


def _unmarked(cut: Cut, database: Path) -> str | None:
    marker = read_marker(database)
    if marker is None or marker.began_at is None or marker.set_aside is not None:
        return f"the marker is {marker}"
    return None


def _made(cut: Cut) -> str | None:
    """Return what is wrong with what the command makes besides: it is as before, or whole; whole once acknowledged."""
    recording = cut.recording
    found, before = recording.scene.made(cut.folder), recording.scene.made(recording.begun)
    for path, whole in recording.made.items():
        if found[path] != whole and (cut.known.has_ended or found[path] != before[path]):
            return f"{path} is {'lost' if found[path] is None else 'not whole'}"
    return None


def run(bout: Bout) -> None:
    """Cut the power in each scene once it is recorded, then in scenes at random, until the time is over."""
    os.umask(0o077)
    recordings = []
    with theatre(bout) as stage:
        for scene in stage.scenes():
            if not bout.goes_on():
                return
            recordings.append(record(stage, scene))
            bout.count("changes of files recorded", len(recordings[-1].operations))
            if len(recordings) == 1:
                _control(bout, recordings[0])
                _cut_power(bout, recordings[0], is_strict=True)  # which alone loses folders
            _cut_power(bout, recordings[-1])
        while bout.goes_on():
            _cut_power(bout, bout.random.choice(recordings))
            if bout.random.random() < _SYNCS_FAIL:
                ending = [one for one in recordings if not one.scene.is_daemon]
                _cut_power(bout, _with_failing_sync(bout, stage, bout.random.choice(ending)))


def _with_failing_sync(bout: Bout, stage: Theatre, recording: Recording) -> Recording:
    """Play the scene of a recording again, while one of its syncs fails."""
    bout.count("failing syncs")
    syncs = sum(one.kind == SYNC for one in recording.operations)
    return record(stage, recording.scene, failing_sync=bout.random.randint(1, syncs))


def _cut_power(bout: Bout, recording: Recording, *, is_strict: bool | None = None) -> None:
    """Cut the power some times in a pass over a recording, with a disk of this kind, or one at random."""
    if is_strict is None:
        is_strict = bout.random.random() < 0.5
    for cut in cuts(recording, bout.folder / "after", bout.random, is_strict=is_strict):
        if not bout.goes_on():
            return
        bout.count("power cuts")
        if found := problem(cut, bout.random):
            bout.broken(f"{cut}: {found}")


def _control(bout: Bout, recording: Recording) -> None:
    """Report a broken trial if nothing is lost on a disk that ignores syncs."""
    for _ in range(_CONTROLS):
        for cut in cuts(recording, bout.folder / "after", bout.random, is_strict=True, syncs=False):
            if problem(cut, bout.random):
                bout.count("losses of a disk that ignores syncs")
                return
    bout.broken("a disk that ignores syncs loses nothing: the trial is broken")


TRIAL = Trial(
    name="power cuts",
    promise="killed at any instant, it loses nothing acknowledged",
    run=run,
    short_attempts=40,
    needs=missing,
    mutants=(
        Mutant(
            "commits without syncs",
            "pipeline/store/writer.py",
            '"PRAGMA synchronous = FULL")\n    synchronous = await _pragma(db, "PRAGMA synchronous")',
            '"PRAGMA synchronous = NORMAL")\n    synchronous = 2',
        ),
        Mutant(
            "sends before its slot is committed",
            "pipeline/quota/ledger.py",
            "await self._writer.write(reserve_requests, slot)",
            "self._writer.post(reserve_requests, slot)",
        ),
        Mutant(
            "notes nothing of requests without limits",
            "pipeline/quota/ledger.py",
            "            if not account.limits:\n                note",
            "            if False:\n                note",
        ),
        Mutant(
            "leaves the folder unsynced",
            "pipeline/files.py",
            "    for one in missing:\n        sync_folder(one.parent)",
            "    del missing",
        ),
    ),
)
