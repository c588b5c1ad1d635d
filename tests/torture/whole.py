"""Whole: scenes that were played to their end, for what they change and what they leave."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.torture.contents import Contents, Made, contents
from tests.torture.interposed import WRITE
from tests.torture.scenes import DATABASE, Scene, Theatre
from tests.torture.trial import Bout


@dataclass(frozen=True, slots=True)
class Whole:
    """A scene that was played to its end: what it changed, and what was there before and after."""

    scene: Scene
    kinds: tuple[str, ...]
    """Of its changes, in order."""
    before: Contents
    after: Contents
    made: Mapping[Path, Made]
    """What it made besides."""
    then: object
    """What else there was in the end."""

    @property
    def changes(self) -> int:
        """How many changes it made."""
        return len(self.kinds)

    def turns(self) -> list[int]:
        """Return which of its changes, from 1 on, are no write between two others: all that matter most."""
        around = zip(("", *self.kinds), self.kinds, (*self.kinds[1:], ""), strict=False)
        return [number for number, kinds in enumerate(around, start=1) if {*kinds} != {WRITE}]


def scenes_to_play(stage: Theatre) -> Iterator[Scene]:
    """Yield the scenes of one command each."""
    return (scene for scene in stage.scenes() if scene.times == 1)


def played_whole(stage: Theatre, scene: Scene) -> Whole:
    """Play a scene to its end. Raise AssertionError if it does not end well, or no change was seen."""
    before = contents(scene.before / DATABASE) if scene.before else Contents()
    stage.interposed.order(records=1)
    stage.interposed.forget()
    folder = stage.disk / f"whole {scene.name}"
    scene.prepare(folder)
    played = stage.perform(scene, folder)
    kinds = tuple(one.kind for one in stage.interposed.recorded() if one.is_change)
    if played.code or not kinds:
        raise AssertionError(f"{scene.name}: exit code {played.code}, {len(kinds)} changes: {played.err}")
    made = scene.made(folder)
    if None in made.values():
        raise AssertionError(f"{scene.name}: it made none of {', '.join(map(str, made))}")
    return Whole(scene, kinds, before, contents(folder / DATABASE), made, scene.then(folder))


def wholes(bout: Bout, stage: Theatre) -> Iterator[Whole]:
    """Yield each scene once it was played whole, then scenes at random, for ever; every other one is a run.

    Not the daemon's: where a disk fails it waits for a better one, as it is to.
    """
    known = []
    for scene in scenes_to_play(stage):
        if scene.is_daemon:
            continue
        known.append(played_whole(stage, scene))
        yield known[-1]
    while True:
        yield bout.random.choice(known)
        yield bout.random.choice([one for one in known if one.scene.is_run])
