"""Ask: one request to the record, and the instant that bounds what its answer may know."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

from aiohttp import web

from pipeline import instants
from pipeline.collect.on_demand import NotCollected
from pipeline.model.symbols import Symbol
from pipeline.monitoring.daemon_sign import DaemonSign
from pipeline.monitoring.status import Status
from pipeline.query.history import History
from pipeline.query.reach import InFuture, Reach
from pipeline.store.data_version import Version
from pipeline.store.reader import NoData
from pipeline.web.caching import Answer
from pipeline.web.present import Moment, Present
from pipeline.web.readers import Readers
from pipeline.web.remembered import Remembered
from pipeline.web.shared import SharedAnswers

AS_OF = "/as-of/"
"""What the address of a page or of an API path begins with if it names an instant: /as-of/2026-03-14/companies."""
ReadThrough = Callable[[Symbol], Awaitable[NotCollected | None]]
"""Returns once a symbol is fresh, or the API does not cover it; or else why it was not collected."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """What a server serves."""

    readers: Readers
    lock: datetime | None
    """Nothing observed later can be had from this server by any path; None: it answers about the present, too."""
    now: Callable[[], datetime]
    live: Callable[[Version | None], Awaitable[Status | None]] | None
    """Reads the quota, the disk and what is stale now, in the database's state that is given or a later one.

    None under a lock: it is about now.
    """
    daemon: Callable[[Version | None], Awaitable[DaemonSign]] | None
    """Reads whether a daemon runs. None under a lock."""
    stale_after: Callable[[], timedelta]
    """Says how long a symbol may go without an observation until it is stale."""
    read_through: ReadThrough | None = None
    """Collects a symbol first that is not fresh. None: what is kept is all there is."""
    answers: SharedAnswers = field(default_factory=SharedAnswers)
    """Whole answers, for equal requests."""
    remembered: Remembered = field(default_factory=Remembered)
    _present: Present = field(default_factory=Present)

    @property
    def present(self) -> datetime:
        """The latest instant that may be asked about: now, or the lock's; in milliseconds, as the record has it."""
        return self.present_in(self.readers.version())

    def present_in(self, version: Version | None) -> datetime:
        """Return the same, given the state that the database has."""
        return instants.in_milliseconds(self.lock or self._present(version, now=self.now()))


SITE = web.AppKey("site", Site)
"""Where an application has its site."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and the instant that bounds its answer."""

    request: web.Request
    site: Site
    at: datetime
    """Nothing observed later takes part in the answer."""
    named: str | None
    """The instant as the address names it; None if it names none, and the present is asked about."""
    version: Version | None = None
    """The state that the database had when the request came; None if it is not known."""

    @classmethod
    def of(cls, request: web.Request, site: Site) -> "Ask":
        """Return what a request asks. Raise Trouble for an instant that is invalid, or that may not be asked about."""
        named = request.match_info.get("instant")
        version = site.readers.version()
        present = site.present_in(version)
        if named is None:
            return cls(request, site, present, None, version)
        try:
            at = Reach(present, site.lock).instant("instant", named, day_ends=True)
        except InFuture:  # the present stands still for a moment
            at = Reach.of_record(now=site.now(), lock=None).instant("instant", named, day_ends=True)
        return cls(request, site, at, named, version)

    @property
    def reach(self) -> Reach:
        """How far its parameters may reach."""
        return Reach(self.at, self.site.lock, is_address=self.named is not None)

    def instant(self, name: str, *, day_ends: bool) -> datetime | None:
        """Return the instant of a parameter of the query string; None if there is none. Raise as `instant_of` does."""
        text = self.first(name)
        return None if text is None else self.instant_of(name, text, day_ends=day_ends)

    def instant_of(self, name: str, text: str, *, day_ends: bool) -> datetime:
        """Return the instant of a parameter. Raise Trouble for one that is invalid, or may not be asked about."""
        try:
            return self.reach.instant(name, text, day_ends=day_ends)
        except InFuture:  # the present stands still for a moment: what came since is the present
            Reach.of_record(now=self.site.now(), lock=None).instant(name, text, day_ends=day_ends)
            return self.at

    @property
    def is_past(self) -> bool:
        """Whether the answer is about the past only: what is known of the present is not part of it."""
        return self.named is not None or self.site.lock is not None

    def link(self, path: str) -> str:
        """Return the address of another path of the site at the same instant."""
        return path if self.named is None else f"{AS_OF}{quote(self.named, safe=':+')}{path}"

    def first(self, name: str) -> str | None:
        """Return a parameter of the query string; None if it is absent or empty."""
        return self.request.query.get(name) or None

    def all(self, name: str) -> Sequence[str]:
        """Return the values of a parameter that may be repeated, or hold several with commas between."""
        parts = (part.strip() for text in self.request.query.getall(name, ()) for part in text.split(","))
        return [part for part in parts if part]

    async def read(self, question: Callable[[History], T]) -> T:
        """Return what `question` returns of a history that ends at the instant. It runs in a thread.

        Raise what it raises; TooSlow, NoData or DatabaseError.
        """
        return await self.site.readers.ask(self.at, question)

    async def read_any(self, question: Callable[[History], T]) -> T | None:
        """Return the same; None where nothing is stored yet."""
        try:
            return await self.read(question)
        except NoData:
            return None

    def remembered(self, name: Hashable, read: Callable[[], T]) -> T:
        """Return what a question reads: once for all requests about the instant, while nothing is written.

        What it depends on, besides the instant, is in the name. Nobody may change it.
        """
        state = None if self.version is None else Moment(self.version, self.at)
        return self.site.remembered.get(name, state, read)

    async def answered(self, route: str, answer: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer of a route, computed once for all requests that are equal.

        It depends on the path and parameters, on Accept and Host, and on what can be known at the instant; on no other
        header.
        """
        headers = self.request.headers
        at = None if self._is_undated else self.at
        asked = (route, self.request.raw_path, headers.get("Accept"), headers.get("Host"), at)
        moment = None if self.version is None else Moment(self.version, self.at)
        return await self.site.answers.get(asked, moment, answer)

    @property
    def _is_undated(self) -> bool:
        """Whether it asks about a present that moves. One that came just before asks the same."""
        return self.named is None and self.site.lock is None
