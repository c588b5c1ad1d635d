"""Backtracking: how many steps a regular expression takes on its worst texts.

`re` tells no steps, so `steps` matches as `re` does, by backtracking, and counts. It knows what the package's patterns
use, and fails at anything else.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from re import _constants as op  # type: ignore[attr-defined, unused-ignore]  # CPython has a pattern's parts there
from re import _parser as parser  # type: ignore[attr-defined, unused-ignore]  # or not, by the order in which mypy reads
from typing import Any

TOO_MANY = 100_000
"""Steps that no text here takes, unless they grow exponentially."""
FEW, MANY = 4, 45
"""How often a piece is repeated; MANY is more than any bounded repeat of a pattern admits."""

_OF_ONE_CHARACTER = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
_IGNORECASE = int(re.IGNORECASE)  # an enum's & takes a third of the time
Node = tuple[Any, Any]


@dataclass(frozen=True)
class Pattern:
    """A regular expression, where it stands, and whether it is searched for in a text or matched at its start."""

    place: str
    compiled: re.Pattern[Any]
    is_searched: bool


# Matching, step by step


class _Counter:
    """Matches a parsed pattern against one text by backtracking, and counts the nodes tried."""

    def __init__(self, text: str, flags: int, accepted: dict[tuple[int, str], bool]) -> None:
        self.text = text
        self.flags = flags
        self.steps = 0
        self._accepted = accepted

    def ends(self, nodes: Sequence[Node], at: int) -> int | None:
        """Return where the first match that starts here ends, None if there is none."""
        ends: list[int] = []

        def arrive(end: int) -> bool:
            ends.append(end)
            return True

        return ends[0] if self._try(nodes, 0, at, arrive) else None

    def _try(self, nodes: Sequence[Node], number: int, at: int, then: Callable[[int], bool]) -> bool:
        self.steps += 1
        if self.steps > TOO_MANY:
            raise OverflowError
        if number == len(nodes):
            return then(at)
        node = nodes[number]
        if node[0] in _OF_ONE_CHARACTER:
            is_accepted = at < len(self.text) and self._accepts(node, self.text[at])
            return is_accepted and self._try(nodes, number + 1, at + 1, then)

        def on(end: int) -> bool:
            return self._try(nodes, number + 1, end, then)

        if node[0] in (op.MAX_REPEAT, op.MIN_REPEAT):
            is_lazy, body = node[0] is op.MIN_REPEAT, node[1][2]
            if not is_lazy and len(body) == 1 and body[0][0] in _OF_ONE_CHARACTER:
                return self._repeat_character(node[1], at, on)
            return self._repeat(node[1], 0, at, on, is_lazy=is_lazy)
        if node[0] in (op.SUBPATTERN, op.BRANCH):
            return any(self._try(inner, 0, at, on) for inner in _inner(node))
        if node[0] in (op.AT, op.ASSERT, op.ASSERT_NOT):
            return self._holds(node, at) and on(at)
        raise NotImplementedError(node)

    def _accepts(self, node: Node, character: str) -> bool:
        key = id(node), character  # the tree outlives this
        found = self._accepted.get(key)
        if found is None:
            found = self._accepted[key] = accepts(node, character, self.flags)
        return found

    def _holds(self, node: Node, at: int) -> bool:
        """Whether a condition holds at a place: one for the beginning or the end, or what is behind or ahead."""
        kind, value = node
        if kind is op.AT:
            return bool(at == 0 if value in (op.AT_BEGINNING, op.AT_BEGINNING_STRING) else at == len(self.text))
        start = at - value[1].getwidth()[0] if value[0] < 0 else at  # what is behind has one width
        is_there = start >= 0 and self._try(value[1], 0, start, lambda _end: True)
        return bool(is_there == (kind is op.ASSERT))

    def _repeat_character(self, value: Any, at: int, then: Callable[[int], bool]) -> bool:
        """Do what `_repeat` does, in as many steps but in a loop: nearly all repeats are of a character."""
        least, most, (node,) = value
        last = min(len(self.text), at + most)
        end = at
        while end < last and self._accepts(node, self.text[end]):
            end += 1
        self.steps += 2 * (end - at) + (end - at < most)
        return any(then(each) for each in range(end, at + least - 1, -1))

    def _repeat(self, value: Any, count: int, at: int, then: Callable[[int], bool], *, is_lazy: bool) -> bool:
        least, most, body = value

        def again() -> bool:
            return count < most and self._try(
                body, 0, at, lambda end: end > at and self._repeat(value, count + 1, end, then, is_lazy=is_lazy)
            )

        if is_lazy:
            return (count >= least and then(at)) or again()
        return again() or (count >= least and then(at))


def accepts(node: Node, character: str, flags: int) -> bool:
    """Whether a node of one character accepts it."""
    if not flags & _IGNORECASE:
        return _accepts(node, ord(character))
    variants = {character, character.lower(), character.upper()}
    return any(_accepts(node, ord(one)) for one in variants if len(one) == 1)


def _accepts(node: Node, code: int) -> bool:
    kind, value = node
    if kind is op.LITERAL:
        return bool(code == value)
    if kind is op.NOT_LITERAL:
        return bool(code != value)
    if kind is op.ANY:
        return True
    if kind is op.RANGE:
        return bool(value[0] <= code <= value[1])
    if kind is op.CATEGORY:
        return _is_in_category(value, chr(code))
    if kind is op.IN:
        is_negated = value[0][0] is op.NEGATE
        return any(_accepts(one, code) for one in value[is_negated:]) != is_negated
    raise NotImplementedError(kind)


def _is_in_category(category: Any, character: str) -> bool:
    name = str(category)
    kinds: dict[str, bool] = {
        "DIGIT": character.isdigit(),
        "SPACE": character.isspace(),
        "WORD": character.isalnum() or character == "_",
    }
    return kinds[name.rpartition("_")[2]] != ("_NOT_" in name)


def steps(pattern: Pattern, text: str) -> int:
    """Return how many steps it takes to match a text, or to find all matches in it. Raise OverflowError at TOO_MANY."""
    tree, counter = _tree(pattern), _Counter(text, pattern.compiled.flags, _accepted(pattern))
    at = 0
    while at <= len(text):
        end = counter.ends(tree, at)
        if not pattern.is_searched:
            break
        at = max(at + 1, end or 0)
    return counter.steps


@cache
def _tree(pattern: Pattern) -> Sequence[Node]:
    source = pattern.compiled.pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    nodes: Sequence[Node] = parser.parse(text, pattern.compiled.flags & ~re.UNICODE if isinstance(source, bytes) else 0)
    # `fullmatch` fails where `match` would succeed: what must not follow is at the end of each text below.
    return [*nodes, (op.LITERAL, _NEVER)] if not pattern.is_searched else list(nodes)


@cache
def _accepted(_pattern: Pattern) -> dict[tuple[int, str], bool]:
    """Return whether a node of the pattern accepts a character, as far as its texts have shown so far."""
    return {}


_NEVER = 0x10FFFF


# The worst texts


def worst_texts(pattern: Pattern) -> Iterator[Callable[[int], str]]:
    """Yield texts that make a pattern backtrack, each as a function of how often its middle is repeated.

    Each begins like a match, goes on with one piece many times, and ends with what fits nowhere.
    """
    tree = _tree(pattern)
    starts = sorted(set(_beginnings(tree, pattern.compiled.flags)), key=len)
    pieces = {*_characters(tree, pattern.compiled.flags), *_words(tree), *filter(None, starts)}
    for start, piece in product(starts, sorted(pieces)):
        yield partial(_worst, start, piece)


def _worst(start: str, piece: str, times: int) -> str:
    return start + piece * times + "\x01"


def _beginnings(nodes: Sequence[Node], flags: int, before: str = "") -> Iterator[str]:
    """Yield the beginnings of a match up to each repeat, and what each repeats: only repeats take many steps."""
    text = before
    yield text
    for node in nodes:
        kind, value = node
        for inner in _inner(node):
            yield from _beginnings(inner, flags, text)
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT) and value[1] > 1:
            yield from (text, _sample(value[2], flags))
        text += _sample([node], flags)


def _inner(node: Node) -> Sequence[Sequence[Node]]:
    kind, value = node
    if kind is op.SUBPATTERN:
        return [value[3]]
    if kind is op.BRANCH:
        return list(value[1])
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        return [value[2]]
    return [value[1]] if kind in (op.ASSERT, op.ASSERT_NOT) and value[0] > 0 else []


def _sample(nodes: Sequence[Node], flags: int) -> str:
    """Return a text that the nodes match; each repeat at least once."""
    text = ""
    for kind, value in nodes:
        if kind in (op.AT, op.ASSERT, op.ASSERT_NOT):
            continue
        inner = _inner((kind, value))
        if inner:
            text += _sample(inner[0], flags) * (max(1, value[0]) if kind in (op.MAX_REPEAT, op.MIN_REPEAT) else 1)
        elif value != _NEVER:
            text += next(character for character in _ALPHABET if accepts((kind, value), character, flags))
    return text


_ALPHABET = [
    chr(code) for code in (*range(0x30, 0x7F), *range(0x30), *range(0x7F, 0x180), 0x200E, 0x202A, 0x2066, 0xFE00)
]


def _characters(nodes: Sequence[Node], flags: int) -> set[str]:
    """Return a character for each set of nodes that accept the same ones: more would show nothing new."""
    leaves = list(_leaves(nodes))
    by_leaves: dict[tuple[bool, ...], str] = {}
    for character in _ALPHABET:
        by_leaves.setdefault(tuple(accepts(leaf, character, flags) for leaf in leaves), character)
    return set(by_leaves.values())


def _words(nodes: Sequence[Node]) -> set[str]:
    """Return the texts that stand in the pattern as they are."""
    found = [""]
    for node in nodes:
        if node[0] is op.LITERAL and node[1] != _NEVER:
            found[-1] += chr(node[1])
        else:
            found += [*(word for inner in _inner(node) for word in _words(inner)), ""]
    return set(filter(None, found))


def _leaves(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        inner = _inner(node)
        for each in inner:
            yield from _leaves(each)
        if not inner and node[0] not in (op.AT, op.ASSERT, op.ASSERT_NOT):
            yield node


def bad_text(pattern: Pattern, *, proportional: float) -> str | None:
    """Return a text on which the steps grow by more than `proportional`, None if there is none.

    On one that is long, too: a bounded repeat may grow up to its bound.
    """
    for text in worst_texts(pattern):
        if all(growth(pattern, text, times=times) > proportional for times in (FEW, MANY)):
            return text(FEW)
    return None


def growth(pattern: Pattern, text: Callable[[int], str], *, times: int) -> float:
    """Return by how much the steps grow faster from 2 to 3 times as much text than from 1 to 2 times.

    1.0: the steps are proportional to the text. 1.67: to its square. Infinity: there are too many to count.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    try:
        one, two, three = (steps(pattern, text(each * times)) for each in (1, 2, 3))
    except OverflowError:
        return float("inf")
    finally:
        sys.setrecursionlimit(limit)
    return (three - two) / (two - one) if two > one else 1.0
