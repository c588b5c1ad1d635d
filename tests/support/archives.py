"""Archives to import: JSON Lines as the tests write them, and what is read of them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.instants import to_text
from pipeline.model.symbols import Symbol
from pipeline.transfer.archives import read_archive
from pipeline.transfer.entries import Entry, Problem, RecordedResponse

IBM = Symbol("IBM")
NOW = datetime(2026, 3, 13, 12, 0, tzinfo=UTC)
THEN = datetime(2024, 3, 14, 18, 30, tzinfo=UTC)
DOCUMENT = {"Symbol": "IBM", "Name": "Business", "PERatio": "12.3"}


def line(**keys: Any) -> bytes:
    """Return a line of a good response with other keys; `...` leaves one out."""
    usual = {"symbol": "IBM", "observed_at": to_text(THEN), "document": DOCUMENT}
    return json.dumps({key: member for key, member in (usual | keys).items() if member is not ...}).encode() + b"\n"


GOOD = line()


def entries(source: Path | None, observed_at: datetime | None = None) -> list[Entry]:
    """Return the entries of an archive."""
    return list(read_archive(source, observed_at=observed_at, now=NOW, on_read=lambda _bytes: None))


def entries_in(file: Path, content: bytes, observed_at: datetime | None = None) -> list[Entry]:
    """Return the entries of a file of this content."""
    file.write_bytes(content)
    return entries(file, observed_at)


def response_in(file: Path, content: bytes, observed_at: datetime | None = None) -> RecordedResponse:
    """Return the one response of a file of this content."""
    (one,) = entries_in(file, content, observed_at)
    assert isinstance(one, RecordedResponse), one
    return one


def problems(found: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return place and reason of the problems among entries."""
    return [(str(one.place), one.reason) for one in found if isinstance(one, Problem)]
