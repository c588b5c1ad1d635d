"""Kills: SIGKILL before a change of a file, at any of those that a command makes; what comes next needs no human.

A write may be half done when the process dies. (Power cuts, which lose what was not synced, are a trial of their own.)
"""

import os
import shutil
from collections.abc import Iterator

from tests.torture.holding import attempted
from tests.torture.interposed import missing
from tests.torture.scenes import Theatre, theatre
from tests.torture.trial import Bout, Mutant, Trial
from tests.torture.whole import Whole, played_whole, scenes_to_play

_FOLLOWING = ("same", "same", "question", "run")


def run(bout: Bout) -> None:
    """Kill a few times in each scene, then at each change that is left, in random order."""
    os.umask(0o077)
    with theatre(bout) as stage:
        points = _points(bout, stage)
        for whole, number in points:
            if not bout.goes_on():
                break
            _kill(bout, stage, whole, number)


def _points(bout: Bout, stage: Theatre) -> Iterator[tuple[Whole, int]]:
    """Yield where to kill: first a few places in each scene, then each other, writes between writes last."""
    first, last = [], []
    for scene in scenes_to_play(stage):
        whole = played_whole(stage, scene)
        turns = whole.turns()
        bout.random.shuffle(turns)
        yield from ((whole, number) for number in turns[:2])
        first += [(whole, number) for number in turns[2:]]
        last += [(whole, number) for number in range(1, whole.changes + 1) if number not in turns]
    for points in (first, last):
        bout.random.shuffle(points)
        yield from points
    while True:
        yield bout.random.choice(first)


def _kill(bout: Bout, stage: Theatre, whole: Whole, number: int) -> None:
    is_torn = bout.random.random() < 0.5
    stage.interposed.order(kill_at=number, is_torn=is_torn)
    attempt = attempted(stage, whole.scene, whole.before, whole.after)
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


TRIAL = Trial(
    name="kills",
    promise="killed at any instant, it needs no human",
    run=run,
    needs=missing,
    mutants=(
        Mutant(
            "commits each statement of a migration",
            "pipeline/store/migrate.py",
            '    db.execute("BEGIN IMMEDIATE")\n    try:\n        yield\n        db.execute("COMMIT")',
            "    try:\n        yield",
        ),
    ),
)
