"""Read-through: `/query` of the daemon collects first what is not fresh, and says honestly when it does not."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pipeline.instants import to_text
from pipeline.model.symbols import Symbol
from tests.support.daemons import FIRST, DaemonClock, DaemonHarness, runs
from tests.support.sandbox import Served, serving
from tests.support.site import Got, SiteClient
from tests.support.site import served as served_site

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SYMBOLS = tuple(Symbol(f"X{number}") for number in range(30))


@asynccontextmanager
async def household(database: Path, api: Served, *limits: str) -> AsyncIterator[tuple[DaemonHarness, SiteClient]]:
    """A daemon with nothing scheduled, and a client of what it serves."""
    harness = DaemonHarness(database, api.base_url, DaemonClock(FIRST), schedules=(), limits=limits)
    async with (
        harness.running() as daemon,
        served_site(database, now=lambda: harness.clock.wall, read_through=daemon.on_demand.collect) as client,
    ):
        yield harness, client


def asking(symbol: str, at: str = "") -> str:
    return f"{at}/query?function=OVERVIEW&symbol={symbol}&apikey=mine"


def describes(got: Got, symbol: str) -> bool:
    return got.status == 200 and json.loads(got.body).get("Symbol") == symbol


async def test_what_is_not_fresh_is_collected_first_and_answered_as_the_api_answered(
    database: Path, served: Served
) -> None:
    async with household(database, served) as (harness, client):
        got = await client.get(asking("ibm"))
        async with client.session.get(f"{served.base_url}?function=OVERVIEW&symbol=IBM&apikey=x") as response:
            assert got.body == await response.read()
        assert (got.headers["X-Observed-At"], got.headers["Age"]) == (to_text(harness.clock.wall), "0")
        assert "X-Not-Collected" not in got.headers
        harness.clock.advance(HOUR)
        assert (await client.get(asking("IBM"))).headers["Age"] == "3600"
        assert served.api.requests == 2

    assert runs(database, "trigger", "status") == [("on_demand", "complete")]


async def test_what_was_observed_while_the_client_waited_is_in_its_answer(database: Path, served: Served) -> None:
    async with household(database, served, "1/second") as (harness, client):
        began = harness.clock.wall
        for symbol, got in zip(
            ("IBM", "PEP"), await asyncio.gather(*map(client.get, map(asking, ("IBM", "PEP")))), strict=True
        ):
            assert describes(got, symbol)
        assert harness.clock.wall > began


async def test_when_the_quota_has_ended_the_stale_document_is_answered_or_else_the_apis_refusal(
    database: Path,
) -> None:
    async with serving("1/day") as api, household(database, api, "1/day") as (harness, client):
        assert describes(await client.get(asking("IBM")), "IBM")
        harness.clock.advance(22 * HOUR)
        stale, none = await client.get(asking("IBM")), await client.get(asking("PEP"))
        assert describes(stale, "IBM")
        assert stale.headers["Age"] == str(22 * 3600)
        assert "1/day is used up" in stale.headers["X-Not-Collected"]
        assert none.status == 200
        assert none.headers["Cache-Control"] == "no-store"
        (information,) = json.loads(none.body).items()
        assert information[0] == "Information"
        assert "rate limit" in information[1]
        assert api.api.requests == 1


async def test_the_past_is_never_requested_and_neither_is_what_cannot_be_a_symbol(
    database: Path, served: Served
) -> None:
    async with household(database, served) as (_, client):
        for address in (
            asking("IBM", "/as-of/now"),
            asking("IBM", "/as-of/2026-03-14"),
            asking("a b"),
            asking("FB@2022"),
        ):
            assert (await client.get(address)).body == b"{}"
        assert (await client.get("/query?function=LISTING_STATUS&symbol=IBM")).status == 200
        assert served.api.requests == 0


async def test_another_sites_page_cannot_use_up_the_requests(database: Path, served: Served) -> None:
    """A frame or a window that it opens is a navigation, and is answered from what is kept."""
    async with household(database, served) as (_, client):
        for site in ("cross-site", "same-site", "x"):
            got = await client.get(asking("IBM"), **{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})
            assert "another site" in json.loads(got.body)["Information"]
        assert served.api.requests == 0
        for site in ("none", "same-origin"):
            assert describes(await client.get(asking("IBM"), **{"Sec-Fetch-Site": site}), "IBM")
    assert served.api.requests == 1


async def test_a_browser_that_does_not_say_whose_page_asks_uses_up_no_request(database: Path, served: Served) -> None:
    """They say it to addresses with TLS and of their own machine alone."""
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36"}
    async with household(database, served) as (_, client):
        got = await client.get(asking("IBM"), **browser)
        assert "another site" in json.loads(got.body)["Information"]
        assert served.api.requests == 0
        assert describes(await client.get(asking("IBM"), **browser, **{"Sec-Fetch-Site": "none"}), "IBM")
        assert describes(await client.get(asking("IBM"), **browser), "IBM")  # what is kept is answered
        assert describes(await client.get(asking("PEP"), **{"User-Agent": "curl/8.5.0"}), "PEP")
    assert served.api.seen == ["IBM", "PEP"]


async def test_what_the_api_does_not_cover_is_an_empty_object_and_asked_once(database: Path, served: Served) -> None:
    served.api.says("OTCM", "{}", times=None)
    async with household(database, served) as (_, client):
        for _ in range(3):
            assert (await client.get(asking("OTCM"))).body == b"{}"
    assert served.api.seen == ["OTCM"]


async def test_a_failure_is_told_and_text_from_outside_cannot_break_the_header(database: Path, served: Served) -> None:
    served.api.says("IBM", '{"Information": "so\\r\\nSet-Cookie: é%0a"}', times=None)
    async with household(database, served) as (_, client):
        got = await client.get(asking("IBM"))
        assert list(json.loads(got.body)) == ["Information"]
        assert "\n" not in json.loads(got.body)["Information"]


async def test_a_reason_does_not_say_where_the_database_is(database: Path, served: Served) -> None:
    async with household(database, served) as (harness, client):
        assert describes(await client.get(asking("IBM")), "IBM")
        await harness.settled()  # else what it still does after the run finds that nothing blocks any more
        harness.clock.advance(DAY)
        harness.daemon.status.block(f"{database}: locked")
        for got in (await client.get(asking("IBM")), await client.get(asking("PEP"))):
            told = got.headers.get("X-Not-Collected") or got.text
            assert f"{database.name}: locked" in told
            assert str(database) not in told


async def test_a_reason_with_any_characters_is_one_header(database: Path, served: Served) -> None:
    async with household(database, served) as (harness, client):
        assert describes(await client.get(asking("IBM")), "IBM")
        harness.clock.advance(DAY)
        served.api.says("IBM", '{"Information": "so\\r\\nSet-Cookie: \\u00e9%0a"}', times=None)
        got = await client.get(asking("IBM"))
        assert describes(got, "IBM")
        assert "Set-Cookie" not in got.headers
        assert "Set-Cookie" in got.headers["X-Not-Collected"]


async def test_forty_clients_that_ask_for_thirty_symbols_three_times_share_a_free_plan(database: Path) -> None:
    """25 a day. (The plan's second limit, one a second, is in the same test of processes: `test_household.py`.)"""
    async with serving("25/day") as api, household(database, api, "25/day") as (_, client):
        for symbol in SYMBOLS:
            api.api.knows(symbol, {"Symbol": symbol})
        for turn in range(3):
            asked = [SYMBOLS[(7 * number + 13 * turn) % 30] for number in range(40)]
            told = await asyncio.gather(*(client.get(asking(symbol)) for symbol in asked))
            for symbol, got in zip(asked, told, strict=True):
                assert describes(got, symbol) or "rate limit" in json.loads(got.body)["Information"]
        kept = [symbol for symbol in SYMBOLS if describes(await client.get(asking(symbol)), symbol)]

    assert api.api.refused == 0
    assert len(api.api.seen) == 25
    assert sorted(api.api.seen) == sorted(kept)
