"""Noise: reproducible random numbers, each a function of a key and a step, so that no day needs the days before it."""

import math
from dataclasses import dataclass
from random import Random

_WORD = 2**64 - 1


def noise(key: int, step: int) -> float:
    """Return a number in [0, 1) drawn for this step by splitmix64, which is cheap."""
    bits = (key + step * 0x9E3779B97F4A7C15) & _WORD
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _WORD
    return ((bits ^ (bits >> 31)) >> 11) * 2.0**-53


def smooth(key: int, place: float) -> float:
    """Return a number in [-1, 1] that changes smoothly with the place, and is drawn again at every whole one."""
    step = math.floor(place)
    share = place - step
    share *= share * (3 - 2 * share)
    before, after = noise(key, step), noise(key, step + 1)
    return 2 * (before + (after - before) * share) - 1


def seeded_random(*of: object) -> Random:
    """Return a generator that draws the same numbers for the same objects, in any process."""
    return Random("/".join(map(str, of)))  # noqa: S311 - reproducible, and nothing secret depends on it


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a field moves: on `moves` of a thousand trading days, which differ for each company."""

    moves: int
    salt: int

    def age(self, key: int, day: int) -> int:
        """Return how many trading days ago the field moved last."""
        return (day * self.moves + (key >> self.salt) % 1000) % 1000 // self.moves

    def noise(self, key: int, day: int) -> float:
        """Return a number in [0, 1) that changes when the field moves."""
        moved = (day * self.moves + (key >> self.salt) % 1000) // 1000
        return noise(key + self.salt, moved)
