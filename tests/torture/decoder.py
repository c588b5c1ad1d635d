"""A decoder under test: what it reads, what it may raise, and what has to hold of what it accepts."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.text import printable
from tests.support.commands import KEY

_SECRET = 8
"""Letters of a key in a row that no text may show."""
_PIECES = frozenset(KEY[start : start + _SECRET].lower() for start in range(len(KEY) - _SECRET + 1))


class Wrong(Exception):
    """What a decoder accepted is not what was read, or a text shows what it must not."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """A reader of bytes from outside."""

    name: str
    read: Callable[[bytes], object]
    """Reads the bytes, and uses what it accepted as the program does. Raises Wrong if that is not what was read."""
    refusals: tuple[type[Exception], ...]
    """What it may raise, in one line."""
    seeds: tuple[bytes, ...]
    """Bytes that it accepts, or refuses in its usual way."""
    large: tuple[bytes, ...] = ()
    """Bytes that take time even where they are only passed over: they are read once, and not mutated."""
    hides_key: bool = False
    """Whether its refusals must not repeat the key, which stands in what it reads."""
    at_once: int = 20
    """Cases of a turn: fewer where one takes long."""
    longest_line: int = 1_000
    """Characters of a refusal."""

    @property
    def folder(self) -> str:
        """The name of its folder in the corpus."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.name).split())

    def problem(self, content: bytes) -> str | None:
        """Read the content, and return what is wrong; None if it was accepted or refused as it should be."""
        try:
            self.read(content)
        except self.refusals as error:
            return self._problem_of(str(error))
        except Wrong as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - any other is what the trial looks for
            return f"{type(error).__name__}: {str(error)[:150]!r} ({_place_of(error)})"
        return None

    def _problem_of(self, refusal: str) -> str | None:
        if len(printable(refusal).splitlines()) > 1:  # as the command line and the log write it
            return f"a refusal of several lines: {refusal[:200]!r}"
        if len(refusal) > self.longest_line:
            return f"a refusal of {len(refusal):,} characters: {refusal[:100]!r}"
        if self.hides_key and KEY.lower() in refusal.lower():
            return f"a refusal with the key: {refusal[:300]!r}"
        return None


def shows_key(text: str) -> bool:
    """Whether eight letters of the key, or more, stand in a text."""
    lower = text.lower()
    return any(piece in lower for piece in _PIECES)


def _place_of(error: BaseException) -> str:
    """Return where an exception was raised, in the program's own code if it was there."""
    place = "?"
    traceback = error.__traceback__
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if "pipeline" in path.parts or place == "?":
            place = f"{path.name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


OPEN = ExitStack()
"""What decoders opened to read with: to be closed when no more is read."""


@cache
def scratch() -> Path:
    """Return a folder for files that decoders read, in memory if there is room."""
    memory = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(prefix="decoders-", dir=memory if memory.is_dir() else None)
    return Path(OPEN.enter_context(folder))


def text_of(content: bytes) -> str:
    """Return bytes as the text of an argument or a variable, in which what is not UTF-8 is a lone surrogate."""
    return content.decode(errors="surrogateescape")
