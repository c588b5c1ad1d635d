"""Input streams: files, standard input, gzip; bounded and decoded."""

import io
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
_GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"

Advanced = Callable[[int], None]
"""Hears of each piece that was read: its bytes as they lie on disk."""


# Bytes


UNREADABLE = (OSError, EOFError, zlib.error)


def unreadable(error: BaseException, lines: int) -> str:
    """Return what is wrong with a source that could be read up to a line."""
    if isinstance(error, EOFError):
        why = "is cut off"
    elif isinstance(error, zlib.error):
        why = f"is damaged ({error})"
    else:
        why = f"cannot be read ({file_reason(error) if isinstance(error, OSError) else error})"
    return f"{why} after line {lines}" if lines else why


@contextmanager
def opened(source: Path | None, advanced: Advanced) -> Iterator[io.BufferedReader]:
    """Open the plain bytes of a source, whether it is gzipped, which its first two bytes tell, or not."""
    if source is None:
        yield _plain(sys.stdin.buffer, advanced)
    else:
        with source.open("rb") as file:
            yield _plain(file, advanced)


def _plain(source: BinaryIO, advanced: Advanced) -> io.BufferedReader:
    head = source.read(len(_GZIP))
    chunks = _chunks(head, source, advanced)
    return io.BufferedReader(_Stream(_inflated(chunks) if head == _GZIP else chunks), CHUNK_BYTES)


def _chunks(head: bytes, source: BinaryIO, advanced: Advanced) -> Iterator[bytes]:
    chunk = head
    while chunk:
        advanced(len(chunk))
        yield chunk
        chunk = source.read(CHUNK_BYTES)


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what gzip packed, each byte of it that comes before the file breaks off (EOFError) or is damaged."""
    inflate = zlib.decompressobj(wbits=_GZIP_FORMAT)
    for packed in chunks:
        rest = packed
        while rest:
            if inflate.eof:
                rest = rest.lstrip(b"\0")  # which pads the end of an archive on tape
                if not rest:
                    break
                inflate = zlib.decompressobj(wbits=_GZIP_FORMAT)
            before = inflate.copy()
            try:
                plain = inflate.decompress(rest, CHUNK_BYTES)
            except zlib.error:
                # The call gives up all that it had unpacked: it is gone through again, to just before the damage.
                yield from (before.decompress(rest[i : i + 1]) for i in range(len(rest)))
                raise
            yield plain
            rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    if not inflate.eof:
        raise EOFError


_GZIP_FORMAT = 16 + zlib.MAX_WBITS


class _Stream(io.RawIOBase):
    """Chunks as a file, for io's own way of finding lines."""

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
