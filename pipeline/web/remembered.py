"""Remembered values: what a question reads that others read too, such as the values of all companies at an instant."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
_MOST = 8
"""Values. Of ten thousand companies, one has about ten megabytes."""


@dataclass(slots=True)
class _Value:
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while it is read."""
    is_read: bool = False
    value: Any = None


class Remembered:
    """Values by name, each as long as the state that it was read in lasts. For any thread."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
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
            value: T = found.value
            return value

    def _value(self, key: Hashable) -> _Value:
        with self._lock:
            found = self._values.setdefault(key, _Value())
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            return found
