"""The page of a company's document, exactly as it was received, in any of its versions."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from aiohttp import web

from pipeline import instants
from pipeline.model.document import as_sent
from pipeline.pages.changes import Observation, observations_of
from pipeline.pages.rendering import show
from pipeline.query.history import History
from pipeline.web import readings
from pipeline.web.ask import AS_OF, Ask

_MOST_VERSIONS = 100
"""To choose from: those around the one that is shown."""
_LONGEST = 200_000
"""Letters of a document that are shown; a usual one has 3,000."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the document: when it was first and last seen."""

    observed_at: datetime
    confirmed_at: datetime

    @property
    def key(self) -> str:
        """What names it in an address."""
        return instants.to_text(self.observed_at)


@dataclass(frozen=True, slots=True)
class DocumentView:
    """The page of a document."""

    symbol: str
    name: str
    version: Version
    text: str
    is_cut: bool
    changed: tuple[Observation, ...]
    """What changed in this version."""
    versions: tuple[Version, ...]
    """To choose from, the newest first."""
    number: int
    """How many versions there are."""
    older: Version | None
    newer: Version | None

    @property
    def original(self) -> str:
        """The path of the document in the API's shape: the same bytes."""
        query = urlencode({"function": "OVERVIEW", "symbol": self.symbol})
        return f"{AS_OF}{self.version.key}/query?{query}"

    def of(self, version: Version) -> str:
        """Return the path of the page with another version."""
        return f"/companies/{quote(self.symbol, safe='')}/document?version={version.key}"


async def document(ask: Ask) -> web.Response:
    """Answer with the document of the version that was known at the page's instant, or at an earlier one."""
    symbol, at = ask.request.match_info["symbol"], ask.instant("version", day_ends=True) or ask.at

    def question(history: History) -> DocumentView:
        (company,) = history.check_symbols([symbol])
        versions = [Version(one.observed_at, one.confirmed_at) for one in history.history(company, ["eps"])]
        place = max(bisect_right(versions, at, key=lambda one: one.observed_at) - 1, 0)
        version = versions[place]
        received = history.received(company, version.observed_at)
        text = "" if received is None else as_sent(received.document)
        start = max(0, min(place - _MOST_VERSIONS // 2, len(versions) - _MOST_VERSIONS))
        return DocumentView(
            symbol=company,
            name=readings.company_names(ask, history, [company]).get(company, ""),
            version=version,
            text=text[:_LONGEST],
            is_cut=len(text) > _LONGEST,
            changed=tuple(
                observations_of(history.changes([company], since=version.observed_at, until=version.observed_at))
            ),
            versions=tuple(reversed(versions[start : start + _MOST_VERSIONS])),
            number=len(versions),
            older=versions[place - 1] if place > 0 else None,
            newer=versions[place + 1] if place + 1 < len(versions) else None,
        )

    return await show(ask, "document.html", question)
