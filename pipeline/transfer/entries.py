"""Entries: what an archive yields - a recorded response, or a problem with its place in the archive."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.api.errors import CONTAINS_KEY, ApiError, Rejected, TooLarge
from pipeline.api.responses import LARGEST_BODY, read_response
from pipeline.instants import to_text
from pipeline.model.document import Overview
from pipeline.model.symbols import Symbol
from pipeline.redaction import NOTHING_SECRET, Redaction
from pipeline.text import printable
from pipeline.transfer.streams import Source, source_name

EXAMPLE = "2024-03-14T18:30:00Z"
WITHOUT_TIME = f"does not say when it was received: give --observed-at, as in {EXAMPLE}"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1; line 0 is the file itself."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        name = printable(self.file)
        return f"{name}, line {self.line}" if self.line else name


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """One response as it was received, and the later instants, in order, at which it was received again."""

    place: Place
    symbol: Symbol
    observed_at: datetime
    observed_again_at: tuple[datetime, ...]
    response: Overview | ApiError


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read, and why, in one line."""

    place: Place
    reason: str


class Remark(Problem):
    """What should be known of an archive: reported, but not counted as bad."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Skipped(Remark):
    """Files that do not belong to the archive."""

    files: int
    """How many."""


Entry = RecordedResponse | Problem


@dataclass(frozen=True, slots=True)
class Received:
    """What the import knows of the responses in a file that do not say it themselves."""

    observed_at: datetime | None
    """When they were received."""
    now: datetime
    """Nothing can have been received later."""
    redaction: Redaction = NOTHING_SECRET
    """Finds the API key in what was recorded, and hides it in problems."""
    symbol: str | None = None
    """Their symbol, by the name of the file."""


def place_of(source: Source, line: int = 0) -> Place:
    """Return the place of a source, or of one of its lines."""
    return Place(source_name(source), line)


def check_past(name: str, instant: datetime, now: datetime) -> datetime:
    """Return the instant. Raise ValueError, naming the key, if it is later than `now`."""
    if instant > now:
        raise ValueError(f"{name}: {to_text(instant)} is in the future (a date alone means its end)")
    return instant


def classify(
    symbol: Symbol, body: bytes, status: int = 200, *, received: Received, longest: int = LARGEST_BODY
) -> Overview | ApiError:
    """Return what a response means, as if it had just come from the API."""
    if len(body) > longest:
        return TooLarge(f"an answer of more than {longest:,} bytes")
    try:
        overview = read_response(symbol, status, {}, body, redact=received.redaction)
    except ApiError as error:
        return error.with_traceback(None)
    return Rejected(CONTAINS_KEY) if received.redaction.finds_key(body) else overview
