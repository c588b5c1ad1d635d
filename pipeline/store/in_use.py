"""In use: which database files this process has open in SQLite, so that it opens and closes none of them by itself.

A process that closes any descriptor of a file loses all its locks on that file (POSIX). SQLite keeps count of its own
descriptors only. Without the locks, the next process that closes the database takes itself for the last, and deletes
the log: what this process commits from then on is in no file that others see, and is lost if it is killed.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FileId = tuple[int, int]
"""Device and number."""
_users: defaultdict[FileId, set[object]] = defaultdict(set)
"""Who has a file open: a set, as adding and removing are one step each, which nothing interrupts."""
_lock = threading.RLock()
"""Reentrant: the garbage collector may close a database that was forgotten while this thread looks at another."""


@contextmanager
def in_use(file: FileId | None, *, before: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Have it known, while the block runs, that SQLite has a file open, or is about to open it; None: there is none.

    `before` is called first, unless the file is in use already: it may open and close the file. No other thread opens
    it with SQLite meanwhile.
    """
    if file is None:
        yield
        return
    user = object()
    with _lock:
        if not _users[file]:
            before()
        _users[file].add(user)
    try:
        yield
    finally:
        with _lock:
            _users[file].discard(user)
