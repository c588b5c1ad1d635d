"""Frames: what every page has around its content: navigation, the control of the date, and what is said of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode

from aiohttp import web

from pipeline import instants
from pipeline.pages.moments import day_text, moment_text
from pipeline.web.ask import AS_OF, Site

SECTIONS = (
    ("/", "Today"),
    ("/companies", "Companies"),
    ("/changes", "Changes"),
    ("/restatements", "Restatements"),
    ("/compare", "Compare"),
    ("/runs", "Runs"),
    ("/status", "Status"),
    ("/fields", "Fields"),
)
"""The navigation: path and name."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around the content of a page."""

    prefix: str
    """What the addresses of the same instant begin with: empty for the present."""
    here: str
    """The page's own address without it, with its parameters."""
    at: datetime
    """The instant that the page is about."""
    lock: datetime | None
    """The instant at which the server is locked."""
    present: datetime
    """The latest instant that may be asked about."""
    is_page: bool = True
    """Whether there is a page at the address."""

    @classmethod
    def of(cls, request: web.Request, site: Site, at: datetime) -> "Frame":
        """Return the frame of a request for a page about an instant."""
        named = request.match_info.get("instant")
        path = request.rel_url.raw_path
        if named is not None:
            path = "/" + path.removeprefix(AS_OF).partition("/")[2]
        query = request.rel_url.raw_query_string
        return cls(prefix_of(named), f"{path}?{query}" if query else path, at, site.lock, site.present)

    @property
    def is_past(self) -> bool:
        """Whether the page is about a past instant that its address names."""
        return bool(self.prefix)

    @property
    def is_locked(self) -> bool:
        """Whether the server answers nothing about the present."""
        return self.lock is not None

    @property
    def tells_instant(self) -> bool:
        """Whether the page says so: it is not about the present."""
        return self.is_past or self.is_locked

    @property
    def moment(self) -> str:
        """The instant in words."""
        return moment_text(self.at)

    @property
    def lock_moment(self) -> str | None:
        """The instant of the lock in words."""
        return None if self.lock is None else moment_text(self.lock)

    @property
    def day(self) -> str:
        """The day in the control of the date: none on a page about the present."""
        return self.at.astimezone(UTC).date().isoformat() if self.tells_instant else ""

    @property
    def last_day(self) -> str | None:
        """The last day that may be chosen. None on a page about the past: it stays the same from day to day."""
        is_open_past = self.is_past and not self.is_locked
        return None if is_open_past else self.present.astimezone(UTC).date().isoformat()

    @property
    def neighbours(self) -> tuple[tuple[str, str, str], ...]:
        """The same page a day earlier and a day later: address, what it is, and the day. Fewer at the end of time."""
        days = (("day before", self._day_off(-1)), ("day after", self._day_off(1)))
        return tuple((self._at_day(one), what, day_text(one.date())) for what, one in days if one is not None)

    def _day_off(self, days: int) -> datetime | None:
        try:
            begins = instants.of_day(self.at.astimezone(UTC).date() + days * _DAY, ends=False)
        except OverflowError:
            return None
        return begins if begins.year >= instants.FIRST_YEAR and begins <= self.present else None

    def _at_day(self, day: datetime) -> str:
        ends = instants.of_day(day.date(), ends=True)
        return f"{prefix_of(day.date().isoformat())}{without_later(self.here, ends)}"

    def link(self, path: str) -> str:
        """Return the address of another path at the same instant."""
        return f"{self.prefix}{path}"

    def is_in(self, section: str) -> bool:
        """Whether the page belongs to a section of the navigation."""
        path = self.here.partition("?")[0]
        return self.is_page and (path == section or (section != "/" and path.startswith(f"{section}/")))


_INSTANTS = ("since", "until", "a", "b", "version")
"""The parameters of pages that are instants."""


def without_later(address: str, at: datetime) -> str:
    """Return an address without parameters that are instants after this one: its page under `at` would refuse them."""
    path, _, query = address.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [one for one in pairs if one[0] not in _INSTANTS or not _is_later(one[1], at)]
    if len(kept) == len(pairs):
        return address
    return f"{path}?{urlencode(kept)}" if kept else path


def _is_later(text: str, at: datetime) -> bool:
    try:
        return instants.parse(text, now=at, day_ends=False) > at
    except ValueError:
        return False


def prefix_of(named: str | None) -> str:
    """Return what the addresses of an instant begin with, as `Ask.link` has it; empty where none is named."""
    return "" if named is None else f"{AS_OF}{quote(named, safe=':+')}"
