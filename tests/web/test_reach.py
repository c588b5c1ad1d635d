"""How far questions reach, at every route: a later instant is refused, in one wording; so are unknown parameters."""

from collections.abc import AsyncIterator, Iterator
from itertools import product
from pathlib import Path

import pytest

from pipeline.rest.endpoints import API
from pipeline.rest.formats import Format
from pipeline.web.routes import Route
from tests.support.crawl import ROUTES, filled
from tests.support.observations import after, database_of, seen, text
from tests.support.site import Got, SiteClient, served

_FILES = ("/robots.txt", "/favicon.ico", "/static/")
"""They answer no question, and whatever a browser adds to their address."""
_FORMATS = tuple(f".{one}" for one in Format)
_INSTANTS = ("at", "since", "until", "a", "b", "version")
LOCK = 48
AFTER_LOCK = f"is after the lock: this record is open up to {text(LOCK)}"


def _questions() -> Iterator[Route]:
    """Yield the routes that answer questions, once for all formats."""
    for route in ROUTES:
        is_again = route.path.startswith(API) and route.path.endswith(_FORMATS)
        if not route.path.startswith(_FILES) and "{path" not in route.path and not is_again:
            yield route


def _says(got: Got, words: str) -> bool:
    """Whether an answer says something. Pages begin sentences with capitals."""
    return words.lower() in got.text.lower()


PATHS = [filled(route.path, "A", "1") for route in _questions()]
DATED = [filled(route.path, "A", "1") for route in _questions() if route.has_instants]
ANSWERING = [path for path in PATHS if path != "/query"]
"""/query ignores what else clients of the API send."""


@pytest.fixture(scope="module")
def database() -> Path:
    return database_of([seen(0, "A", EPS="1"), seen(LOCK + 1, "A", EPS="2")])


@pytest.fixture
async def site(database: Path) -> AsyncIterator[SiteClient]:
    async with served(database, now=lambda: after(100)) as client:
        yield client


@pytest.fixture
async def locked(database: Path) -> AsyncIterator[SiteClient]:
    async with served(database, lock=after(LOCK), now=lambda: after(100)) as client:
        yield client


async def test_no_address_names_the_future(site: SiteClient) -> None:
    for path in DATED:
        got = await site.get(f"/as-of/2026-03-19{path}")
        assert (got.status, _says(got, "is in the future")) == (400, True), (path, got.text[:500])


async def test_a_day_that_is_not_over_is_the_present(site: SiteClient, locked: SiteClient) -> None:
    for client, day, hours in ((site, "2026-03-18", 100), (locked, "2026-03-16", LOCK)):
        assert text(hours).startswith(day)
        for path in ("/companies/A", "/api/v1/as-of", "/query?function=OVERVIEW&symbol=A", "/changes.atom"):
            got = await client.get(f"/as-of/{day}{path}")
            assert got.status == 200, (path, got.text)
        assert (await client.get(f"/compare?symbol=A&b={day}")).status == 200


async def test_no_address_leads_past_a_lock(locked: SiteClient) -> None:
    for path in DATED:
        got = await locked.get(f"/as-of/{text(LOCK + 0.1)}{path}")
        assert (got.status, _says(got, AFTER_LOCK)) == (403, True), (path, got.text[:500])


async def test_no_parameter_leads_past_the_present_the_address_or_the_lock(
    site: SiteClient, locked: SiteClient
) -> None:
    taken = set()
    for path, name in product(ANSWERING, _INSTANTS):
        got = await site.get(f"{path}?{name}=2199-01-01")
        if _says(got, "unknown parameter"):
            continue
        assert (got.status, _says(got, "is in the future")) == (400, True), (path, name, got.text[:900])
        taken.add(name)
        past = f"/as-of/{text(10)}{path}" if path in DATED else path
        for client, address, status, words in (
            (site, past, 400, f"is after the instant of the address, {text(10)}" if path in DATED else "future"),
            (locked, path, 403, AFTER_LOCK),
            (locked, past, 403, AFTER_LOCK),
        ):
            got = await client.get(f"{address}?{name}=2199-01-01")
            assert (got.status, _says(got, words)) == (status, True), (address, name, got.text[:900])
    assert taken == set(_INSTANTS)


async def test_what_a_path_does_not_take_is_refused_with_what_it_may_be(site: SiteClient) -> None:
    for path in ANSWERING:
        got = await site.get(f"{path}?foo=")
        assert (got.status, _says(got, "unknown parameter")) == (400, True), (path, got.text[:500])
    for path in ("/changes", "/restatements", "/companies/A/chart", "/changes.atom", "/api/v1/changes"):
        assert _says(await site.get(f"{path}?sinc=7d"), "did you mean since?"), path
    assert (await site.get("/query?function=OVERVIEW&symbol=A&foo=1")).status == 200


async def test_what_came_since_the_present_was_last_looked_at_is_no_future(database: Path) -> None:
    hours = [100.0]
    async with served(database, now=lambda: after(hours[0])) as site:
        assert (await site.get("/api/v1/status")).status == 200  # from here, the present stands still for a moment
        hours[0] += 0.002
        assert (await site.get(f"/as-of/{text(hours[0])}/companies/A")).status == 200
        assert (await site.get(f"/api/v1/as-of?at={text(hours[0])}")).status == 200
