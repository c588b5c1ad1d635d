"""Kills: SIGKILL before each change of a file that a command makes; what comes next needs no human.

A write may be half done when the process dies. (Power cuts, which lose what was not synced, are a trial of their own.)
"""

import os
import shutil
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.torture.holding import attempted
from tests.torture.interposed import missing
from tests.torture.scenes import Theatre, theatre
from tests.torture.trial import Bout, Mutant, Trial
from tests.torture.whole import Whole, played_whole, scenes_to_play

_FOLLOWING = ("same", "same", "same", "same", "question", "run")
_PLAYS = 3
"""Plays that end before a change until it is taken for none of the scene's."""
_KINDS = {
    "first start": "changes of a first start",
    "migrate": "of migrations",
    "backup": "of a backup",
    "restore": "of a restore",
    "daemon": "of the daemon",
    "": "of other commands",
}
"""How a scene's name begins, and what its changes are called in what was tried: the first that fits."""


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
    """Kill twice in each scene, then at each change that is left, in random order, and at random after that."""
    os.umask(0o077)
    scenes: list[Covered] = []
    with theatre(bout) as stage:
        for scene in scenes_to_play(stage):
            if bout.stops_when_broken and not bout.goes_on():
                return
            scenes.append(Covered(played_whole(stage, scene)))
            for number in bout.random.sample(scenes[-1].whole.turns(), 2):
                if bout.goes_on():
                    _try(bout, stage, scenes[-1], number)
        points = _points(bout, scenes)
        while bout.goes_on():
            covered, number = points.popleft() if points else _any_point(bout, scenes)
            if not _try(bout, stage, covered, number) and covered.missing[number] < _PLAYS:
                points.append((covered, number))
    for kind, label in _KINDS.items():
        of_kind = [one for one in scenes if _kind(one) == kind]
        bout.count(f"of {sum(one.changes for one in of_kind):,} {label}", sum(len(one.reached) for one in of_kind))


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
    """Return where else to kill: at each change where it was not killed yet, at writes between writes last."""
    first: list[tuple[Covered, int]] = []
    last: list[tuple[Covered, int]] = []
    for scene in scenes:
        turns = {*scene.whole.turns()}
        for number in range(1, scene.whole.changes + 1):
            if number not in scene.reached:
                (first if number in turns else last).append((scene, number))
    for points in (first, last):
        bout.random.shuffle(points)
    return deque((*first, *last))


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
    following = bout.random.choice(_FOLLOWING)
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
    short_attempts=30,
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
            "resumes no run that a kill cut short",
            "pipeline/schedule/next_run.py",
            "        case RunStatus.INTERRUPTED | RunStatus.RUNNING:",
            "        case RunStatus.RUNNING:",
            is_slow=True,
        ),
    ),
    share=3,
)
