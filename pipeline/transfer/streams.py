"""Input streams: a file or standard input, gzipped or not, as plain bytes."""

import codecs
import io
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import file_reason

STANDARD_INPUT = "standard input"

CHUNK_BYTES = 65_536
LONGEST_LINE = 16 * 2**20
_WIDE_MARKS = {  # UTF-32's first: in one of them the mark of UTF-16 is a part
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_WIDE_ASCII = re.compile(
    rb"(?P<utf_32le>[\t-~]\0{3})|(?P<utf_32be>\0{3}[\t-~])|(?P<utf_16le>(?:[\t-~]\0){2})|(?P<utf_16be>(?:\0[\t-~]){2})"
)
"""The first characters of JSON or HTML where no mark says so."""
_GZIP = b"\x1f\x8b"
_GZIP_FORMAT = 16 + zlib.MAX_WBITS

OnRead = Callable[[int], None]
"""Called for each piece that was read, with its length in bytes before it is unpacked."""

STREAM_ERRORS = (OSError, EOFError, zlib.error)


def stream_problem(error: BaseException, lines: int) -> str:
    """Return what is wrong with a source, of which some lines could be read."""
    if isinstance(error, EOFError):
        why = "is cut off"
    elif isinstance(error, zlib.error):
        why = f"is damaged ({error})"
    else:
        why = f"cannot be read ({file_reason(error) if isinstance(error, OSError) else error})"
    return f"{why} after line {lines}" if lines else why


def without_mark(text: bytes) -> bytes:
    """Return text without UTF-8's byte order mark. In files that were joined any line may begin with one."""
    return text.removeprefix(codecs.BOM_UTF8)


def wrong_encoding(head: bytes) -> str | None:
    """Return that a text which begins so is UTF-16 or UTF-32, and what converts it; None for any other."""
    wide = next((name for mark, name in _WIDE_MARKS.items() if head.startswith(mark)), None)
    if wide is None:
        found = _WIDE_ASCII.match(head)
        if found is None or found.lastgroup is None:
            return None
        wide = found.lastgroup.upper().replace("_", "-")
    return f"is {wide[:6]}, not UTF-8: convert it with iconv -f {wide} -t UTF-8"


@contextmanager
def open_stream(source: Path | None, on_read: OnRead) -> Iterator[io.BufferedReader]:
    """Open the plain bytes of a source; None: standard input. Reading may raise one of STREAM_ERRORS.

    The first two bytes say whether it is gzipped.
    """
    if source is None:
        yield _plain(sys.stdin.buffer, on_read)
    else:
        with source.open("rb") as file:
            yield _plain(file, on_read)


def _plain(source: BinaryIO, on_read: OnRead) -> io.BufferedReader:
    head = source.read(len(_GZIP))
    chunks = _chunks(head, source, on_read)
    return io.BufferedReader(_Stream(_inflated(chunks) if head == _GZIP else chunks), CHUNK_BYTES)


def _chunks(head: bytes, source: BinaryIO, on_read: OnRead) -> Iterator[bytes]:
    chunk = head
    while chunk:
        on_read(len(chunk))
        yield chunk
        chunk = source.read(CHUNK_BYTES)


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the unpacked bytes: all up to where the file is cut off (EOFError) or damaged (zlib.error)."""
    inflate = zlib.decompressobj(wbits=_GZIP_FORMAT)
    for packed in chunks:
        rest = packed
        while rest:
            if inflate.eof:
                rest = rest.lstrip(b"\0")  # padding after an archive on tape
                if not rest:
                    break
                inflate = zlib.decompressobj(wbits=_GZIP_FORMAT)
            before = inflate.copy()
            try:
                plain = inflate.decompress(rest, CHUNK_BYTES)
            except zlib.error:
                # The call returned nothing of what it had unpacked: unpack again, up to the damage.
                yield from (before.decompress(rest[i : i + 1]) for i in range(len(rest)))
                raise
            yield plain
            rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    if not inflate.eof:
        raise EOFError


class _Stream(io.RawIOBase):
    """Chunks as a file, so that io finds the lines."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        view = memoryview(room)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
