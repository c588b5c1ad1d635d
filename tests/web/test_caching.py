"""What caches see: tags that fit, nothing that is kept unasked, smaller bodies, and equal bytes for equal questions."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from pipeline.store.migrate import migrate
from tests.support.clocks import START
from tests.support.observations import database_of, seen, store_observations
from tests.support.site import SiteClient, served

TABLE = "/api/v1/fields"
CHANGING = {"Date"}


@pytest.fixture(scope="module")
def database() -> Path:
    return database_of([seen(0, PERatio="10")])


@pytest.fixture
async def client(database: Path) -> AsyncIterator[SiteClient]:
    async with served(database) as client, aiohttp.ClientSession(auto_decompress=False) as plain:
        yield SiteClient(client.url, plain)


@pytest.mark.parametrize("path", [TABLE, "/fields", "/query?function=OVERVIEW&symbol=IBM"])
async def test_every_good_answer_has_a_tag_and_is_asked_for_again_each_time(client: SiteClient, path: str) -> None:
    first = await client.get(path)
    assert (first.status, first.headers["Cache-Control"]) == (200, "no-cache")
    assert first.headers["Vary"] == "Accept, Accept-Encoding"
    tag = first.headers["ETag"]
    for held in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await client.get(path, **{"If-None-Match": held})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert "Content-Type" not in again.headers
    for held in ('"other"', "", tag[:-2] + '"'):
        assert (await client.get(path, **{"If-None-Match": held})).status == 200


async def test_refusals_are_not_kept(client: SiteClient) -> None:
    for path in ("/nothing", "/api/v1/nothing", "/as-of/x/fields", "/query"):
        got = await client.get(path)
        assert got.headers["Cache-Control"] == "no-store"
        assert "ETag" not in got.headers


async def test_what_is_large_is_compressed_for_those_who_take_it(client: SiteClient) -> None:
    plain = await client.get(TABLE, **{"Accept-Encoding": "identity"})
    for accepted in ("gzip", "br, gzip;q=0.5", "deflate, *", "GZIP"):
        got = await client.get(TABLE, **{"Accept-Encoding": accepted})
        assert got.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(got.body) == plain.body
        assert got.headers["ETag"] == plain.headers["ETag"]
        assert len(got.body) < len(plain.body) / 2
    for refused in ("", "br", "gzip;q=0", "gzip; q=0.000", "gzipped"):
        got = await client.get(TABLE, **{"Accept-Encoding": refused})
        assert "Content-Encoding" not in got.headers
        assert got.body == plain.body


@pytest.mark.parametrize("path", [TABLE, "/fields", "/nothing", "/-/healthy", "/as-of/2026-03-14/fields"])
async def test_equal_questions_get_equal_bytes(client: SiteClient, path: str) -> None:
    first, second = await client.get(path), await client.get(path)
    assert (first.status, first.body) == (second.status, second.body)
    assert {n: v for n, v in first.headers.items() if n not in CHANGING} == {
        n: v for n, v in second.headers.items() if n not in CHANGING
    }


@pytest.mark.parametrize("path", [TABLE, "/fields", "/nothing"])
async def test_head_is_get_without_the_body(client: SiteClient, path: str) -> None:
    got = await client.get(path)
    async with client.session.head(f"{client.url}{path}") as response:
        assert (response.status, await response.read()) == (got.status, b"")
        assert {n: v for n, v in response.headers.items() if n not in CHANGING} == {
            n: v for n, v in got.headers.items() if n not in CHANGING
        }


async def test_what_was_written_since_is_in_the_next_answer(tmp_path: Path) -> None:
    database = tmp_path / "overviews.db"
    query = "/query?function=OVERVIEW&symbol=IBM"
    async with served(database) as client:
        assert (await client.get(query)).text == "{}"
        migrate(database, now=START)
        for number, ratio in enumerate(("10", "11", "11.5")):
            await store_observations(database, [seen(number, PERatio=ratio)])
            first, second = await client.get(query), await client.get(query)
            assert f'"{ratio}"' in first.text
            assert first.body == second.body
