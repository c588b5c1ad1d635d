"""Labels of dots: which symbols can be written beside their dots without covering one another."""

from collections.abc import Sequence
from dataclasses import dataclass

_LETTER, _LINE, _RADIUS, _GAP = 6.6, 11.0, 4.0, 6.0
"""Pixels: of a letter and of a line at a size of 10; of a dot; between a dot and its label."""
_MOST_TRIED = 150


@dataclass(frozen=True, slots=True)
class Place:
    """A dot in pixels, and its text."""

    x: float
    y: float
    text: str


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def labelled(
    places: Sequence[Place], order: Sequence[int], width: float, covered: Sequence[tuple[float, float]] = ()
) -> dict[int, str]:
    """Return the side, `left` or `right`, of each dot's label that fits, by the number of the dot.

    Earlier ones in `order` are served first. No label covers a dot, another label or a `covered` place, or leaves the
    width.
    """
    dots = [*((place.x, place.y) for place in places), *covered]
    taken: list[Box] = []
    sides: dict[int, str] = {}
    for number in order[:_MOST_TRIED]:
        place = places[number]
        long = len(place.text) * _LETTER
        for side, left in (("right", place.x + _GAP), ("left", place.x - _GAP - long)):
            box = (left, place.y - _LINE / 2, left + long, place.y + _LINE / 2)
            if left >= 0 and left + long <= width and not _covers(box, dots, taken):
                taken.append(box)
                sides[number] = side
                break
    return sides


def _covers(box: Box, dots: Sequence[tuple[float, float]], taken: Sequence[Box]) -> bool:
    left, top, right, bottom = box
    return any(left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in taken) or any(
        left - _RADIUS < x < right + _RADIUS and top - _RADIUS < y < bottom + _RADIUS for x, y in dots
    )
