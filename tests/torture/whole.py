"""Whole: scenes that were played to their end, for what they change and what they leave."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.torture.contents import Contents, contents
from tests.torture.scenes import DATABASE, Scene, Theatre
from tests.torture.trial import Bout


@dataclass(frozen=True, slots=True)
class Whole:
    """A scene that was played to its end: how many changes it made, and what was there before and after."""

    scene: Scene
    changes: int
    before: Contents
    after: Contents


def played_whole(stage: Theatre, scene: Scene) -> Whole:
    """Play a scene to its end. Raise AssertionError if it does not end well, or no change was seen."""
    before = contents(scene.before / DATABASE) if scene.before else Contents()
    stage.interposed.order()
    folder = stage.disk / f"whole {scene.name}"
    scene.prepare(folder)
    played, changes = stage.play(folder, *scene.command), stage.interposed.changes
    if played.code or not changes:
        raise AssertionError(f"{scene.name}: exit code {played.code}, {changes} changes: {played.err}")
    return Whole(scene, changes, before, contents(folder / DATABASE))


def wholes(bout: Bout, stage: Theatre) -> Iterator[Whole]:
    """Yield each scene once it was played whole, then scenes at random, for ever."""
    known = []
    for scene in stage.scenes():
        known.append(played_whole(stage, scene))
        yield known[-1]
    while True:
        yield bout.random.choice(known)
