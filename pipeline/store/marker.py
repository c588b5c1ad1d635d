"""The marker: a file beside the database which says that a record was begun in it, for when the database vanishes."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pipeline.decoding import decoder
from pipeline.errors import Trouble, Undecodable, file_reason
from pipeline.files import read_content, replace_durably
from pipeline.store.database import RecordGone, access_remedy, beside
from pipeline.text import cut, printable


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """The last run that requested something."""

    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    record: str
    """When the record was begun, as the database says: it tells databases apart."""
    state: Literal["begun", "ended", "restored"]
    """`ended`: all that it requested is in the database. `restored`: the database was restored since."""


class Marker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the file says. That it exists says that there is a record, even where it cannot be read."""

    began_at: datetime | None = None
    """When the record was begun, or first opened by a version that marks it."""
    lost_at: datetime | None = None
    """When a new record was asked for, in place of one that was lost: it is not complete yet."""
    set_aside: str | None = None
    """The name that a replaced database is being moved to: a restore is not complete yet."""
    last_run: LastRun | None = None
    """None: nothing was requested since the record was begun, or since requests were blocked for what is not known."""


_decode = decoder(Marker)
_MOST_SHOWN = 255
"""Characters of a file's name in an error: no file system has longer ones."""


def marker_path(database: Path) -> Path:
    """Return the marker of a database."""
    return beside(database, ".record")


def read_marker(database: Path) -> Marker | None:
    """Return the marker, None if there is none: no record was ever begun there, or it vanished with its folder."""
    try:
        return _decode(read_content(marker_path(database)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, Undecodable):
        return Marker()


def write_marker(database: Path, marker: Marker) -> None:
    """Write the marker to the disk, in place of what is there. Raise Trouble if that fails."""
    path = marker_path(database)
    try:
        replace_durably(path, msgspec.json.encode(marker))
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {file_reason(error)}", remedy=access_remedy(error)) from None


def record_gone(database: Path) -> RecordGone:
    """Return the error for a database that is missing or empty, where a record was kept."""
    marker = read_marker(database)
    if marker is not None and marker.set_aside is not None:
        replaced = cut(printable(marker.set_aside), _MOST_SHOWN)
        return RecordGone(
            f"{database}: pipeline restore was interrupted",
            remedy=f"repeat it, with the backup or with what it was replacing: {replaced}",
        )
    state = "is empty" if database.exists() else "is gone"
    return RecordGone(
        f"{database} {state}, but a record was kept there",
        remedy="mount its volume, put it back, or restore a backup (pipeline restore); for a new record: --new-record",
    )
