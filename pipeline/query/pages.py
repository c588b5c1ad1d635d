"""Pages: a SQLite table's rows as columns, decoded from the bytes of its pages. Needs numpy.

The format is that of https://www.sqlite.org/fileformat2.html, which all versions of SQLite since 2004 share. The rows
are decoded all at once, a column at a time: each step is an operation on an array, and no value becomes an object.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Undecodable

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LEAF = 13
"""The kind of a table's pages with rows. Others have the numbers of the pages below."""
_NULL, _REAL, _ONE, _BLOB, _TEXT = 0, 7, 9, 12, 13
"""Types of values. 1 to 6 are integers, 8 is zero. From 12 on blobs are even and texts odd, the larger the longer."""
_SIZES = np.array([0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0], np.int64)
"""Bytes of a value, by type, below blobs and texts."""


@dataclass(frozen=True, slots=True)
class Column:
    """The values of a column: of each row, the value's type, how many bytes it has, and where they end."""

    image: Bytes
    types: Integers
    sizes: Integers
    ends: Integers

    def nulls(self) -> Mask | None:
        """Return which values are missing; None if none is."""
        missing = self.types == _NULL
        return missing if missing.any() else None

    def integers(self) -> Integers:
        """Return the values, 0 for missing ones. Raise Undecodable unless all are integers."""
        _expect((self.types <= _ONE) & (self.types != _REAL), "an integer")
        # A value has one to eight bytes, the highest first. The others of the eight before its end are not its own.
        words, others = self._words(">i8").astype(np.int64), 8 * (8 - self.sizes)
        return np.where(self.sizes > 0, (words << others) >> others, self.types == _ONE)

    def reals(self) -> NDArray[np.float64]:
        """Return the values as floats, anything for missing ones. Raise Undecodable unless all are numbers."""
        values = self._words(">f8").astype(np.float64)
        whole = np.flatnonzero((self.types != _REAL) & (self.types != _NULL))
        if whole.size:
            values[whole] = Column(self.image, self.types[whole], self.sizes[whole], self.ends[whole]).integers()
        return values

    def texts(self) -> bytes:
        """Return the bytes of all values, one after the other. Raise Undecodable unless all are texts."""
        _expect((self.types == _NULL) | (self.types >= _TEXT) & (self.types % 2 == 1), "a text")
        size = int(self.sizes.max(initial=0))
        if (self.sizes == size).all():
            return self._before_ends(f"V{size}").tobytes() if size else b""
        view, starts = self.image.data, (self.ends - self.sizes).tolist()
        return b"".join([view[start:end] for start, end in zip(starts, self.ends.tolist(), strict=True)])

    def _words(self, kind: str) -> NDArray[np.generic]:
        return self._before_ends("V8").view(kind)

    def _before_ends(self, kind: str) -> NDArray[np.void]:
        """Return the bytes before each value's end, as many as the kind has, wherever in a word that is."""
        size = np.dtype(kind).itemsize
        everywhere: NDArray[np.void] = np.ndarray(len(self.image) - size + 1, kind, self.image, strides=(1,))
        return everywhere[self.ends - size]


@dataclass(frozen=True, slots=True)
class Records:
    """The rows of a table, in the order of their ids: where each one's record begins in the image."""

    image: Bytes
    starts: Integers

    def columns(self, count: int) -> Iterator[Column]:
        """Yield the first `count` columns."""
        header_sizes, headers = _varints(self.image, self.starts)
        ends = self.starts + header_sizes
        for _ in range(count):
            types, headers = _varints(self.image, headers)
            sizes = np.where(types < _BLOB, _SIZES[np.minimum(types, _BLOB - 1)], (types - _BLOB) >> 1)
            ends = ends + sizes
            yield Column(self.image, types, sizes, ends)


def records_of(database: bytes, root: int) -> Records:
    """Return the rows of the table whose root page has that number. `database` is the content of a database file."""
    image = np.frombuffer(database, np.uint8)
    page_size = _number(image, 16, 2)
    page_size = 1 << 16 if page_size == 1 else page_size
    sizes, ids = _varints(image, np.concatenate(list(_cells(image, page_size, root))))
    _, starts = _varints(image, ids)
    return _whole(image, page_size, sizes, starts)


def _cells(image: Bytes, page_size: int, page: int) -> Iterator[Integers]:
    """Yield where the rows of a page, and of those below it, begin."""
    start = (page - 1) * page_size
    header = start + (100 if page == 1 else 0)
    kind, count = image[header], _number(image, header + 3, 2)
    pointers = header + (8 if kind == _LEAF else 12)
    cells = start + image[pointers : pointers + 2 * count].view(">u2").astype(np.int64)
    if kind == _LEAF:
        yield cells
        return
    for cell in (*cells.tolist(), header + 8):
        yield from _cells(image, page_size, _number(image, cell, 4))


def _whole(image: Bytes, page_size: int, sizes: Integers, starts: Integers) -> Records:
    """Return the records; those that are continued on other pages are appended to the image, whole."""
    usable = page_size - int(image[20])
    largest, least = usable - 35, (usable - 12) * 32 // 255 - 23
    long = np.flatnonzero(sizes > largest).tolist()
    if not long:
        return Records(image, starts)
    appended, end = [], len(image)
    for row in long:
        size, start = int(sizes[row]), int(starts[row])
        here = least + (size - least) % (usable - 4)
        here = here if here <= largest else least
        pieces = [image[start : start + here], *_continued(image, page_size, start + here, size - here)]
        appended += pieces
        starts[row] = end
        end += size
    return Records(np.concatenate([image, *appended]), starts)


def _continued(image: Bytes, page_size: int, pointer: int, size: int) -> Iterator[Bytes]:
    """Yield what the pages of a chain hold, that many bytes; the next page's number is at the pointer."""
    usable = page_size - int(image[20])
    while size > 0:
        pointer = (_number(image, pointer, 4) - 1) * page_size
        yield image[pointer + 4 : pointer + 4 + min(size, usable - 4)]
        size -= usable - 4


def _varints(image: Bytes, starts: Integers) -> tuple[Integers, Integers]:
    """Return the integers of variable length that begin at each place, and where each ends."""
    byte = image[starts]
    values, ends, goes_on = (byte & 0x7F).astype(np.int64), starts + 1, byte > 0x7F
    while goes_on.any():
        byte = image[ends]
        values = np.where(goes_on, values << 7 | (byte & 0x7F), values)
        ends = ends + goes_on
        goes_on &= byte > 0x7F
    return values, ends


def _number(image: Bytes, at: int, size: int) -> int:
    return int.from_bytes(image[at : at + size].tobytes(), "big")


def _expect(is_right: Mask, what: str) -> None:
    if not is_right.all():
        raise Undecodable(f"a value that is not {what}")
