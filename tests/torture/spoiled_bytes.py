"""Spoiled bytes: what a disk, a network or an attacker makes of valid bytes, many thousand times a second."""

import re
from collections.abc import Callable, Sequence
from random import Random

from tests.support.bad_bytes import SPOILERS
from tests.support.commands import KEY

_LARGEST = 300_000
"""Bytes of a case: more is found by what counts, and takes longer."""
_NUMBERS = (
    b"0", b"-0", b"-0.0", b"1.10", b"1e2", b"1E+400", b"-1e-400", b"1e99999999999", b"9" * 20, b"9" * 101, b"9" * 5_000,
    b"0." + b"3" * 400, b"18446744073709551616", b"-9223372036854775809", b"1e16", b"00", b"0x1F", b"1_000", b"1e",
    b"4294967296", b"2147483648", b"65536",
)  # fmt: skip
_PIECES = (
    *SPOILERS, *_NUMBERS, KEY.encode(), KEY.lower().encode(), b"%53" + KEY[1:].encode(), b"\\u0053" + KEY[1:].encode(),
    b"apikey=" + KEY.encode(), b"\x1b]0;x\x07", b"\x85", b"\xe2\x80\xa8", b"\x00\x00", b"\r\n\r\n", b"\\n",
    b"%00", b"%ff", b"%", b"..", b"../../etc/passwd", b"=1+1", b"\xef\xbc\x9d", b"-9999-01-01",
    b"0000-00-00T00:00:00Z", b"+99:99",
    b"{" * 120 + b"}" * 120, b"(" * 500, b"a" * 5_000, b" " * 5_000, b'"' * 101, b",", b":", b"null", b"true",
)  # fmt: skip
_STRUCTURE = frozenset(b',:[]{}"= \n\r\t;&?/#')


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Return what one to four mutations make of one of the seeds."""
    content = random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        content = random.choice(_MUTATIONS)(random, content, seeds)[:_LARGEST]
    return content


def _place(random: Random, content: bytes) -> int:
    """Return a place in the content; half of the time right behind a character that structures it."""
    place = random.randint(0, len(content))
    if random.random() < 0.5:
        for near in range(place, min(place + 50, len(content))):
            if content[near] in _STRUCTURE:
                return near + 1
    return place


def _range(random: Random, content: bytes) -> tuple[int, int]:
    start, stop = sorted((_place(random, content), _place(random, content)))
    return start, stop


def _flip(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    if not content:
        return content
    place = random.randrange(len(content))
    byte = content[place] ^ (1 << random.randrange(8)) if random.random() < 0.5 else random.randrange(256)
    return content[:place] + bytes((byte,)) + content[place + 1 :]


def _cut(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    place = _place(random, content)
    return content[place:] if random.random() < 0.2 else content[:place]


def _delete(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    start, stop = _range(random, content)
    return content[:start] + content[stop:]


def _repeat(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    start, stop = _range(random, content)
    times = random.choice((2, 2, 3, 10, 100, 2_000))
    return content[:start] + content[start:stop] * min(times, _LARGEST // max(stop - start, 1) + 1) + content[stop:]


def _splice(random: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    return content[: _place(random, content)] + other[_place(random, other) :]


def _insert(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    place = _place(random, content)
    return content[:place] + random.choice(_PIECES) + content[place:]


def _replace(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    start, stop = _range(random, content)
    return content[:start] + random.choice(_PIECES) + content[stop:]


def _move(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    start, stop = _range(random, content)
    place = _place(random, content)
    return content[:place] + content[start:stop] + content[place:]


def _nest(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    start, stop = _range(random, content)
    before, after = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'"', b'"'), (b"(", b")")))
    times = random.choice((1, 2, 49, 51, 99, 101, 1_000))
    return content[:start] + before * times + content[start:stop] + after * times + content[stop:]


def _noise(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    place = _place(random, content)
    return content[:place] + random.randbytes(random.choice((1, 2, 8, 100))) + content[place:]


_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][-+.:0-9a-zA-Z]*|true|false|null')
_VALUES = (
    b"null", b"true", b"false", b"{}", b"[]", b'""', b"[[]]", b'{"a": {"b": []}}', b'"None"', b'"-"', b'"\\u0000"',
    b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\xe2\x80\xae"', b'"2026-02-30"', b'"9999-12-31T23:59:59.999999Z"', b"NaN",
    b'"' + KEY.encode() + b'"', b'"-0"', b'"1e400"', b'"\\/"', *_NUMBERS,
)  # fmt: skip
_SEARCHED = 20_000
"""Bytes in which values are looked for."""


def _exchange(random: Random, content: bytes, _seeds: Sequence[bytes]) -> bytes:
    """Put another value, or one of the content's own, in the place of a value: the rest can be read as before."""
    found = list(_VALUE.finditer(content, 0, _SEARCHED))
    if not found:
        return content
    old = random.choice(found)
    new = random.choice(_VALUES) if random.random() < 0.8 else random.choice(found)[0]
    return content[: old.start()] + new + content[old.end() :]


_Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]
_MUTATIONS: tuple[_Mutation, ...] = (
    _flip, _flip, _cut, _delete, _repeat, _splice, _insert, _insert, _replace, _replace, _replace, _move, _nest, _noise,
    _exchange, _exchange, _exchange,
)  # fmt: skip
