"""Remembered values: what a question reads that others read too, such as the values of all companies at an instant."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
_MOST = 8
"""Values ..."""
_MOST_CELLS = 1_500_000
"""... and cells of them all, of some 100 bytes each: of ten thousand companies, one value has 120,000, or 620,000 with
all fields."""


@dataclass(slots=True)
class _Value:
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while it is read."""
    is_read: bool = False
    value: Any = None
    cells: int = 0


class Remembered:
    """Values by name, each as long as the state that it was read in lasts. For any thread."""

    def __init__(self, most: int = _MOST, *, most_cells: int = _MOST_CELLS) -> None:
        self._most = most
        self._most_cells = most_cells
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, _Value] = OrderedDict()

    def get(self, name: Hashable, state: Hashable | None, read: Callable[[], T]) -> T:
        """Return the value of that name in that state, or what `read` returns. One thread reads, others wait for it.

        Raise what it raises. Without a state, nothing is remembered.
        """
        if state is None:
            return read()
        found = self._value((name, state))
        with found.lock:
            if not found.is_read:
                found.value, found.is_read = read(), True
                found.cells = _cells(found.value)
                self._drop_oldest()
            value: T = found.value
            return value

    def _value(self, key: Hashable) -> _Value:
        with self._lock:
            found = self._values.setdefault(key, _Value())
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            return found

    def _drop_oldest(self) -> None:
        """Drop values until they are not too large in all; the newest one stays, however large."""
        with self._lock:
            cells = sum(one.cells for one in self._values.values())
            while cells > self._most_cells and len(self._values) > 1:
                _, dropped = self._values.popitem(last=False)
                cells -= dropped.cells


def _cells(value: object) -> int:
    """Return how large a value is: of rows, how many cells they have."""
    if not isinstance(value, list) or not value:
        return 1
    return len(value) * (len(value[0]) if isinstance(value[0], tuple) else 1)
