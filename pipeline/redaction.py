"""Redaction: hides secrets in text, however they are spelled. Which are secret, `settings.secrets` says.

Whatever leaves the program and could hold a secret passes here: what the API answered, log lines, tracebacks, and
messages about the configuration.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

Redact = Callable[[str], str]

HIDDEN = "***"
PART = 8
"""How many letters of a key in a row are hidden without the rest.

The API's keys have 16. Who sees seven of them has 36^9 to try, and no eight in a row occur in a text by chance.
"""
SHORTEST = 4
"""From here to PART letters (`demo`), a secret is hidden where it is a word of its own. A shorter one is none."""
_PUBLIC = b"alphavantage_api_key_file"
"""What no part of a key is hidden in: a key such as `${ALPHAVANTAGE_API_KEY}` would hide where the mistake is."""
_BLOCK = 4
"""Every part contains one of a few blocks of this length, which are quick to look for first."""

_ESCAPES = (
    (b"%", re.compile(rb"%([0-9a-f]{2})")),  # in a URL
    (b"\\", re.compile(rb"\\\\{0,7}(?:u([0-9a-f]{4})|x([0-9a-f]{2})|([\"'/\\]))")),  # in JSON, or as Python writes it
    (b"&", re.compile(rb"(&#?[0-9a-z]{2,10};)")),  # in HTML
)
"""Ways to escape a character, in lower case: how they begin, and how they are. Every repetition is bounded: the text
comes from outside."""
_MOST_ROUNDS = 4
"""How often escapes are decoded: what is in JSON may have been in a URL before."""


_LOOKS_LIKE_A_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z0-9]{16}|(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,})(?![A-Za-z0-9])", re.ASCII
)
"""The form of the API's keys; or as long and mixed, as a key in lower case is."""


def without_lookalikes(text: str) -> str:
    """Return the text with HIDDEN in place of what looks like a key: one that was put where it does not belong."""
    return _LOOKS_LIKE_A_KEY.sub(HIDDEN, text)


class Redaction:
    """Hides keys, parts of them, and addresses: in any case, and escaped as in URLs, JSON or HTML."""

    def __init__(self, keys: Iterable[str] = (), *, addresses: Iterable[str] = ()) -> None:
        """Addresses are hidden only whole: parts of them, such as `https://`, are no secret."""
        self._secrets = tuple(keys), tuple(addresses)
        keys, addresses = self._secrets
        of_keys = {spelling for key in keys for spelling in _spellings(key)}
        of_addresses = {spelling for address in addresses for spelling in _spellings(address)}
        long = [spelling for spelling in of_keys if len(spelling) >= PART]
        words = [spelling for spelling in of_keys | of_addresses if SHORTEST <= len(spelling) < PART]
        self._blocks = {block for spelling in long for block in _blocks(spelling)}
        self._parts = {part for spelling in long for part in _slices(spelling, PART) if part not in _PUBLIC}
        self._words = [re.compile(rb"(?<![a-z0-9])%s(?![a-z0-9])" % re.escape(word)) for word in words]
        self._addresses = {spelling for spelling in of_addresses if len(spelling) >= PART}

    def __or__(self, other: "Redaction") -> "Redaction":
        """Return one that hides what either of them hides."""
        keys, addresses = zip(self._secrets, other._secrets, strict=True)
        return Redaction(chain(*keys), addresses=chain(*addresses))

    def finds_key(self, body: bytes) -> bool:
        """Whether a text, as bytes, contains a key or a part of one. Keys that are shorter than a part do not count."""
        if not self._blocks:
            return False
        for reading, _ in _readings(body):  # plain loops: this is done for every overview
            for block in self._blocks:
                if block in reading and self._has_part(reading):
                    return True
        return False

    def __call__(self, text: str) -> str:
        """Return the text with HIDDEN in place of each secret."""
        encoded = text.encode(errors="surrogatepass")
        shown, end = bytearray(), 0
        for start, stop in sorted(self._places(encoded)):
            if start >= end:
                shown += encoded[end:start] + HIDDEN.encode()
            end = max(end, stop)
        return (shown + encoded[end:]).decode(errors="replace") if end else text

    def _has_part(self, reading: bytes) -> bool:
        return any(part in reading for part in self._parts)

    def _places(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield the first and last offsets of each secret, or part of one."""
        for reading, offsets in _readings(text):
            secrets = self._addresses | self._parts if self._has_part(reading) else self._addresses
            found = [(at, at + len(secret)) for secret in secrets for at in _finds(secret, reading)]
            found += [word.span() for pattern in self._words for word in pattern.finditer(reading)]
            yield from ((offsets[start], offsets[stop]) for start, stop in found)


def _spellings(secret: str) -> set[bytes]:
    """Return a secret in the readings of a text that contains it. It may itself look as if it had escapes."""
    plain = secret.strip().encode(errors="surrogatepass")
    return {reading for reading, _ in _readings(plain) if reading}


def _slices(spelling: bytes, length: int) -> Iterator[bytes]:
    return (spelling[at : at + length] for at in range(len(spelling) - length + 1))


def _blocks(spelling: bytes) -> Iterator[bytes]:
    """Yield blocks of which every part contains one: no further apart than a part is longer than a block."""
    for at in range(PART - _BLOCK, len(spelling) - _BLOCK + 1, PART - _BLOCK + 1):
        yield spelling[at : at + _BLOCK]


def _finds(secret: bytes, reading: bytes) -> Iterator[int]:
    at = reading.find(secret)
    while at >= 0:
        yield at
        at = reading.find(secret, at + 1)


def _readings(text: bytes) -> Iterator[tuple[bytes, Sequence[int]]]:
    """Yield the text in lower case, and with its escapes decoded, with where in the text each byte of that begins."""
    reading: bytes = text.lower()
    offsets: Sequence[int] = range(len(text) + 1)
    yield reading, offsets
    for _ in range(_MOST_ROUNDS):
        before = reading
        for sign, escape in _ESCAPES:
            if sign in reading and escape.search(reading):
                reading, offsets = _decoded(escape, reading, offsets)
        if reading == before:
            return
        yield reading, offsets


def _decoded(escape: re.Pattern[bytes], reading: bytes, offsets: Sequence[int]) -> tuple[bytes, Sequence[int]]:
    """Return the reading with each escape replaced by its character, and the offsets for it."""
    decoded, kept, end = bytearray(), list[int](), 0
    for found in escape.finditer(reading):
        character = _character(found[found.lastindex or 0])
        decoded += reading[end : found.start()] + character
        kept += [*offsets[end : found.start()], *[offsets[found.start()]] * len(character)]
        end = found.end()
    return bytes(decoded + reading[end:]), [*kept, *offsets[end:]]


def _character(escaped: bytes) -> bytes:
    """Return the character, in lower case: of its code in hexadecimal digits, of its name in HTML, or itself."""
    if escaped.startswith(b"&"):
        return html.unescape(escaped.decode()).lower().encode(errors="surrogatepass")
    if len(escaped) == 1:
        return escaped
    code = int(escaped, 16)
    return bytes([code]).lower() if len(escaped) == 2 else chr(code).lower().encode(errors="surrogatepass")


NOTHING_SECRET = Redaction()
"""Hides nothing: no secret is known."""
