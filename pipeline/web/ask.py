"""Ask: one request to the record, and the instant that bounds what its answer may know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

from aiohttp import web

from pipeline import instants
from pipeline.monitoring.status import Status
from pipeline.query.history import History
from pipeline.store.reader import NoData
from pipeline.web.readers import Readers
from pipeline.web.refusals import Refusal

AS_OF = "/as-of/"
"""What the address of a page or of an API path begins with if it names an instant: /as-of/2026-03-14/companies."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """What a server serves."""

    readers: Readers
    lock: datetime | None
    """Nothing observed later can be had from this server by any path; None: it answers about the present, too."""
    now: Callable[[], datetime]
    live: Callable[[], Status | None] | None
    """Reads the quota, the disk and what is stale now: called in a thread. None under a lock: it is about now."""

    @property
    def present(self) -> datetime:
        """The latest instant that may be asked about: now, or the lock's; to the millisecond, as the record has it."""
        return instants.in_milliseconds(self.lock or self.now())


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

    @classmethod
    def of(cls, request: web.Request, site: Site) -> "Ask":
        """Return what a request asks. Raise Refusal for an instant that is invalid, or after the lock."""
        named = request.match_info.get("instant")
        if named is None:
            return cls(request, site, site.present, None)
        try:
            at = instants.in_milliseconds(instants.parse(named, now=site.present, day_ends=True))
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
        if site.lock is not None and at > site.lock:
            lock = instants.for_people(site.lock)
            problem = f"this server is locked: it answers with what was known at {lock} UTC, and before"
            raise Refusal(HTTPStatus.FORBIDDEN, problem, remedy="ask for an earlier instant, or for none")
        return cls(request, site, min(at, site.present), named)

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
        return [one for text in self.request.query.getall(name, ()) for one in text.split(",") if one]

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
