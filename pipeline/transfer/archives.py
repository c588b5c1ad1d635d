"""Archives: responses recorded elsewhere, to be imported from JSON Lines, gzipped or not, or SYMBOL.json files.

An archive comes from outside: each problem is a value with its place, and reading continues behind it.
"""

import sys
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pipeline.errors import Trouble, file_reason
from pipeline.redaction import NOTHING_SECRET, Redaction
from pipeline.transfer.entries import WITHOUT_TIME, Entry, Received
from pipeline.transfer.json_files import file_size, holds_one_response, read_file, read_folder, symbol_files
from pipeline.transfer.json_lines import read_json_lines
from pipeline.transfer.streams import STANDARD_INPUT, OnRead


def read_archive(
    source: Path | None,
    *,
    observed_at: datetime | None,
    now: datetime,
    on_read: OnRead,
    redaction: Redaction = NOTHING_SECRET,
) -> Iterator[Entry]:
    """Yield the entries of a file, a folder or, for None, standard input, in its order.

    `observed_at` is when responses were received that do not say so themselves. None can be later than `now`. `on_read`
    is called with the number of bytes of each piece read. An overview that contains a key of `redaction` is rejected.
    """
    received = Received(observed_at, now, redaction)
    if source is None:
        return read_json_lines(None, received, on_read)
    return (read_folder if _is_folder(source) else read_file)(source, received, on_read)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # opening it will report why
        return False


def archive_size(source: Path | None) -> int | None:
    """Return the sum of what `on_read` will be called with; None if it is unknown, as of standard input."""
    try:
        if source is None:
            return None
        if source.is_dir():
            return sum(path.stat().st_size for path in symbol_files(source))
        return file_size(source)
    except OSError:
        return None


def check_archives(sources: Iterable[Path | None], observed_at: datetime | None) -> None:
    """Raise Trouble for the first source that cannot be read at all, before anything is imported."""
    uses_stdin = False
    for source in sources:
        if source is not None:
            _check_path(source, observed_at)
        elif uses_stdin or sys.stdin is None:
            raise Trouble(f"{STANDARD_INPUT} is closed or named twice: it can be read once")
        else:
            uses_stdin = True


def _check_path(path: Path, observed_at: datetime | None) -> None:
    try:
        if path.is_dir():
            if not symbol_files(path):
                raise Trouble(f"{path} holds no SYMBOL.json", remedy="name its files if they are JSON Lines")
            needs_time = True
        elif path.is_file():
            path.open("rb").close()
            needs_time = observed_at is None and holds_one_response(path)
        else:
            path.stat()
            return
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {file_reason(error)}") from None
    except (EOFError, zlib.error):  # what is before the damage can be read
        return
    if needs_time and observed_at is None:
        raise Trouble(f"{path} {WITHOUT_TIME}")
