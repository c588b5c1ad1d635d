"""Input streams: a file or standard input, gzipped or not, as plain bytes."""

import codecs
import io
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any, BinaryIO, Protocol

from pipeline.errors import Trouble, file_reason

STANDARD_INPUT = "standard input"

CHUNK_BYTES = 65_536
LONGEST_LINE = 16 * 2**20
_KEPT_IN_MEMORY = 16 * 2**20
"""Bytes of a source that are kept without a file."""
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


def is_gzipped(content: bytes) -> bool:
    """Return whether content is packed by gzip."""
    return content.startswith(_GZIP)


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


class Kept:
    """What came from a source that can be read only once, kept in a temporary file so that it can be read again."""

    def __init__(self, source: Path | None) -> None:
        self.source = source
        self._file = SpooledTemporaryFile[bytes](_KEPT_IN_MEMORY)
        self._error: OSError | None = None

    def fill(self, on_read: OnRead) -> int:
        """Read the source to its end, and return how many bytes came. Raise Trouble if they cannot be kept."""
        length = 0
        try:
            with _raw(self.source) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    on_read(len(chunk))
                    self._write(chunk)
                    length += len(chunk)
        except OSError as error:
            self._error = error
        return length

    def _write(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
        except OSError as error:
            where = f"{source_name(self.source)} cannot be kept in {gettempdir()}: {file_reason(error)}"
            raise Trouble(where, remedy="set TMPDIR to a folder with more room") from None

    def rewind(self) -> None:
        """Go back to the beginning."""
        self._file.seek(0)

    def read(self, size: int) -> bytes:
        """Return the next bytes. Where the source could not be read, raise the OSError that it raised."""
        chunk = self._file.read(size)
        if not chunk and self._error is not None:
            raise self._error
        return chunk

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Held:
    """Content that was read elsewhere, and its name."""

    name: str
    content: bytes


Source = Path | Kept | Held | None
"""A file or folder, what was kept of one, what is in memory, or, for None, standard input."""


def source_name(source: Source) -> str:
    """Return the name of a source."""
    if isinstance(source, Held):
        return source.name
    if isinstance(source, Kept):
        source = source.source
    return STANDARD_INPUT if source is None else str(source)


@contextmanager
def open_stream(source: Source, on_read: OnRead) -> Iterator[io.BufferedReader]:
    """Open the plain bytes of a source. Reading may raise one of STREAM_ERRORS.

    The first two bytes say whether it is gzipped. `on_read` is not called for what is in memory: it has been read.
    """
    if isinstance(source, Held):
        yield _plain(io.BytesIO(source.content), lambda _bytes: None)
    elif isinstance(source, Kept):
        source.rewind()
        yield _plain(source, on_read)
    else:
        with _raw(source) as stream:
            yield _plain(stream, on_read)


@contextmanager
def _raw(source: Path | None) -> Iterator[BinaryIO]:
    if source is None:
        yield sys.stdin.buffer
    else:
        with source.open("rb") as file:
            yield file


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _plain(source: _Readable, on_read: OnRead) -> io.BufferedReader:
    return io.BufferedReader(_Stream(_unpacked(source, on_read)), CHUNK_BYTES)


def _unpacked(source: _Readable, on_read: OnRead) -> Iterator[bytes]:
    """Yield the plain bytes. Nothing is read before they are wanted: who reads reports what fails."""
    head = source.read(len(_GZIP))
    chunks = _chunks(head, source, on_read)
    yield from _inflated(chunks) if head == _GZIP else chunks


def _chunks(head: bytes, source: _Readable, on_read: OnRead) -> Iterator[bytes]:
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
