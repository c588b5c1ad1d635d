"""Kills: SIGKILL before each change of a file that a command makes; what comes next needs no human.

A write may be half done when the process dies. (Power cuts, which lose what was not synced, are a trial of their own.)
"""

import os
import shutil
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.torture.holding import attempted
from tests.torture.interposed import missing
from tests.torture.scenes import Scene, Theatre, theatre
from tests.torture.trial import Bout, Mutant, Trial
from tests.torture.whole import Whole, played_whole, scenes_to_play

_FOLLOWING = ("same", "same", "same", "same", "question", "run")
_FOLLOWING_OF_FLEET = ("same", "same", "question")
"""A run of a fleet's member is no business of its file alone."""
_FEW = 20
"""Changes of a short scene."""
_PLAYS = 3
"""Plays that end before a change until it is taken for none of the scene's."""
_KINDS = {
    "first start": "changes of a first start",
    "migrate": "of migrations",
    "backup": "of a backup",
    "restore": "of a restore",
    "daemon": "of the daemon",
    "fleet": "of a record that joins or leaves a fleet",
    "": "of other commands",
}
"""How a scene's name begins, and what its changes are called in what was tried: the first that fits."""
_FIRST = ("first start", "migrate", "backup", "restore")
"""The kinds whose changes come first: all of them, in a whole run."""


@dataclass(slots=True)
class Covered:
    """A scene, and where it was killed."""

    whole: Whole
    reached: set[int] = field(default_factory=set)
    """Of its changes, from 1 on."""
    missing: Counter[int] = field(default_factory=Counter)
    """How often it ended before a change, by that: how many it makes differs by some, as its threads take turns."""

    @property
    def changes(self) -> int:
        """How many changes it has, without those that it did not come to in several plays."""
        absent = sum(count >= _PLAYS for number, count in self.missing.items() if number not in self.reached)
        return self.whole.changes - absent


def run(bout: Bout) -> None:
    """Kill once in each scene (twice to find a mistake), then at each change that is left, and at random after that."""
    os.umask(0o077)
    scenes: list[Covered] = []
    with theatre(bout) as stage, ExitStack() as stack:
        for scene in _scenes(bout, stage, stack):
            if bout.stops_when_broken and not bout.goes_on():
                return
            scenes.append(Covered(played_whole(stage, scene)))
            for number in bout.random.sample(scenes[-1].whole.turns(), 2 if bout.stops_when_broken else 1):
                if bout.goes_on():
                    _try(bout, stage, scenes[-1], number)
        points = _points(bout, scenes)
        while bout.goes_on():
            covered, number = points.popleft() if points else _any_point(bout, scenes)
            if not _try(bout, stage, covered, number) and covered.missing[number] < _PLAYS:
                points.appendleft((covered, number))
    for kind, label in _KINDS.items():
        if of_kind := [one for one in scenes if _kind(one) == kind]:
            bout.count(f"of {sum(one.changes for one in of_kind):,} {label}", sum(len(one.reached) for one in of_kind))


def _scenes(bout: Bout, stage: Theatre, stack: ExitStack) -> Iterator[Scene]:
    """Yield the scenes.

    In a whole run, which looks for no mistake, also slow ones, and a fleet's, whose PostgreSQL ends with the stack.
    """
    is_short, record = bout.attempts is not None, None
    for scene in scenes_to_play(stage):
        record = record or scene.before
        if not (scene.is_slow and (is_short or bout.stops_when_broken)):
            yield scene
    if is_short or bout.stops_when_broken or record is None:
        return
    from tests.torture import fleet_scenes  # noqa: PLC0415 - imports psycopg

    if (reason := fleet_scenes.missing()) is not None:
        bout.count(f"of a fleet's commands ({reason})", 0)
        return
    yield from stack.enter_context(fleet_scenes.fleet_scenes(stage, record))


def _try(bout: Bout, stage: Theatre, covered: Covered, number: int) -> bool:
    """Kill a scene at a change, check all that has to hold, and return whether it came to that change."""
    is_killed = _kill(bout, stage, covered.whole, number)
    if is_killed:
        covered.reached.add(number)
    else:
        covered.missing[number] += 1
    return is_killed


def _kind(scene: Covered) -> str:
    """Return what the changes of a scene are counted with: a key of `_KINDS`."""
    return next(kind for kind in _KINDS if scene.whole.scene.name.startswith(kind))


def _points(bout: Bout, scenes: Sequence[Covered]) -> deque[tuple[Covered, int]]:
    """Return where else to kill: at each change where it was not killed yet.

    First in the scenes that a whole run covers whatever its time; writes between two writes come after all others.
    To find a mistake, which may be in any scene, the shortest come first: they take seconds.
    """
    found: dict[tuple[bool, bool], list[tuple[Covered, int]]] = {}
    for scene in scenes:
        turns = {*scene.whole.turns()}
        is_later = scene.changes > _FEW if bout.stops_when_broken else _kind(scene) not in _FIRST
        for number in range(1, scene.whole.changes + 1):
            if number not in scene.reached:
                found.setdefault((is_later, number not in turns), []).append((scene, number))
    for points in found.values():
        bout.random.shuffle(points)
    return deque(point for key in sorted(found) for point in found[key])


def _any_point(bout: Bout, scenes: Sequence[Covered]) -> tuple[Covered, int]:
    scene = bout.random.choice(scenes)
    return scene, bout.random.randint(1, scene.changes)


def _kill(bout: Bout, stage: Theatre, whole: Whole, number: int) -> bool:
    """Kill a scene at a change, check all that has to hold, and return whether it came to that change."""
    is_torn = bout.random.random() < 0.5
    stage.interposed.order(kill_at=number, is_torn=is_torn)
    attempt = attempted(stage, whole)
    bout.count("kills" if attempt.played.was_killed else "ended before the kill")
    if attempt.played.code and not attempt.played.was_killed:
        bout.broken(f"{whole.scene.name} ended with {attempt.played.code}: {attempt.played.err.strip()}")
    following = bout.random.choice(_FOLLOWING_OF_FLEET if whole.scene.fleet else _FOLLOWING)
    for problem in attempt.problems(following):
        torn = ", torn" if is_torn else ""
        bout.broken(
            f"{whole.scene.name}, killed at change {number} of {whole.changes}{torn}, then {following}: {problem}"
        )
    shutil.rmtree(attempt.folder)
    return attempt.played.was_killed


TRIAL = Trial(
    name="kills",
    promise="killed at any instant, it needs no human",
    run=run,
    short_attempts=20,
    needs=missing,
    mutants=(
        Mutant(
            "commits each statement of a migration",
            "pipeline/store/migrate.py",
            '    db.execute("BEGIN IMMEDIATE")\n    try:\n        yield\n        db.execute("COMMIT")',
            "    try:\n        yield",
        ),
        Mutant(
            "writes files under their own names",
            "pipeline/files.py",
            "    with partial_file(target, mode) as partial:\n"
            '        with os.fdopen(partial.descriptor, "wb", closefd=False) as file:\n'
            "            yield file\n"
            "        partial.path.replace(target)",
            '    with target.open("wb") as file:\n        yield file',
        ),
        Mutant(
            "takes what another process is writing for abandoned",
            "pipeline/partials.py",
            "        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
            "        pass\n",
        ),
        Mutant(
            "resumes no run that a kill cut short",
            "pipeline/schedule/next_run.py",
            "        case RunStatus.INTERRUPTED | RunStatus.RUNNING:",
            "        case RunStatus.RUNNING:",
            is_slow=True,
        ),
    ),
    share=6,
)
