"""Requests from outside: whatever they hold, the server answers or refuses them; none is an error of the program's."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from tests.support.bad_bytes import bad_texts
from tests.support.crawl import ROUTES, VALUES
from tests.support.site import SiteClient, served
from tests.support.two_futures import RICH

_LONGEST = 2_000
"""Characters of a value: longer addresses are refused before anything reads them."""
_HEADERS = ("Accept", "Accept-Encoding", "If-None-Match", "Authorization", "Range", "Cookie")
_TEXTS = bad_texts("2026-03-14T18:30Z", "pe_ratio,eps", "-5.5%", "A~1", "AAPL", "/as-of/7d/companies", "48h").map(
    lambda text: text[:_LONGEST].encode(errors="surrogateescape")
)
_SPELT = bad_texts('W/"0af3", *', "text/csv;q=0.5, */*;q=0", "gzip;q=1", "Basic dXNlcjpwYXNz", "bytes=0-1").map(
    lambda text: "".join(character for character in text[:_LONGEST] if " " <= character < "\x7f")
)
Asked = tuple[str, Mapping[str, bytes], Mapping[str, str]]


@st.composite
def _requests(draw: st.DrawFn) -> Asked:
    """Return a path with bad texts in it, parameters with bad values, and bad headers."""
    path = draw(st.sampled_from(ROUTES)).path
    while "{" in path:
        before, _, rest = path.partition("{")
        path = f"{before}{quote(draw(_TEXTS), safe='')}{rest.partition('}')[2]}"
    prefix = draw(st.sampled_from(("", "/as-of/2026-03-16", "/as-of/x")))
    names = st.sampled_from([*VALUES, "cursor", "x"])
    return (
        prefix + path,
        draw(st.dictionaries(names, _TEXTS, max_size=3)),
        draw(st.dictionaries(st.sampled_from(_HEADERS), _SPELT, max_size=2)),
    )


async def _status(client: SiteClient, asked: Asked) -> int:
    path, parameters, headers = asked
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    url = URL(f"{client.url}{path}?{query}", encoded=True)
    async with client.session.get(url, headers=headers, allow_redirects=False) as response:
        await response.read()
        return response.status


@pytest.fixture(scope="module")
def database() -> Path:
    return RICH.databases()[0]


@settings(max_examples=4)
@given(st.lists(_requests(), min_size=50, max_size=50))
def test_any_request_is_answered_or_refused(database: Path, requests: Sequence[Asked]) -> None:
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)

    async def ask() -> None:
        async with served(database, token="secret") as client:
            for asked in requests:
                assert await _status(client, asked) < 500, asked
        async with served(database) as client:
            for asked in requests:
                assert await _status(client, asked) < 500 or asked[0].endswith(".parquet"), asked

    asyncio.run(ask())
