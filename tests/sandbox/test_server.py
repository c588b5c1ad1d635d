"""Server: it enforces the plan's limits exactly, answers like the API, and says what a test scripts."""

import asyncio
import csv
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest

from pipeline.model.symbols import Symbol
from pipeline.quota.limits import PLANS, Limit
from pipeline.sandbox.server import SandboxApi
from tests.support.companies import COMPANIES

TODAY = date(2026, 5, 4)
KEY = "K3Y"
SECOND = 1_000_000_000
RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings" / "errors"


class Clock:
    """The server's clock, which only a test moves."""

    def __init__(self) -> None:
        self.at = 0

    def __call__(self) -> int:
        return self.at


def limits(*texts: str) -> list[Limit]:
    return [Limit.parse(text) for text in texts]


def sandbox(*texts: str, now: Clock | None = None) -> SandboxApi:
    return SandboxApi(companies=COMPANIES, limits=limits(*texts), day=lambda: TODAY, now=now or Clock())


@dataclass(frozen=True)
class Received:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Sends requests to the server, as a program does."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, **query: str) -> Received:
        async with self.session.get(self.url, params=query) as response:
            return Received(response.status, response.headers, await response.read())

    async def overview(self, symbol: str, apikey: str = KEY) -> Received:
        return await self.get(function="OVERVIEW", symbol=symbol, apikey=apikey)

    async def text(self, symbol: str, apikey: str = KEY) -> str:
        return (await self.overview(symbol, apikey)).text


@asynccontextmanager
async def client_of(api: SandboxApi) -> AsyncIterator[Client]:
    async with api.serve() as url, aiohttp.ClientSession() as session:
        yield Client(session, url)


def only_text(body: str) -> str:
    (text,) = json.loads(body).values()
    assert isinstance(text, str)
    return text


# Answers


@pytest.mark.parametrize("symbol", ["QUVEX", "QUVEX-B", "OXNEV", "ZORVA-U", "AAPL"])
async def test_an_overview_is_json_indented_by_four(symbol: str) -> None:
    async with client_of(sandbox()) as client:
        response = await client.overview(symbol)

    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    expected = COMPANIES.document(Symbol(symbol), TODAY)
    assert response.text == json.dumps(expected, indent=4, ensure_ascii=False)


@pytest.mark.parametrize("symbol", [COMPANIES.symbols[-1], "XYZ.FRK", "no symbol", "ÆØÅ"])
async def test_the_answer_for_a_symbol_that_is_not_covered_is_an_empty_object(symbol: str) -> None:
    async with client_of(sandbox()) as client:
        assert await client.text(symbol) == "{}"


async def test_a_class_share_with_a_dot_gets_a_hyphen() -> None:
    async with client_of(sandbox()) as client:
        assert json.loads(await client.text("QUVEX.B"))["Symbol"] == "QUVEX-B"


async def test_an_overview_is_that_of_the_day() -> None:
    days = iter([TODAY, TODAY, TODAY + timedelta(1)])
    api = SandboxApi(companies=COMPANIES, limits=[], day=lambda: next(days))

    async with client_of(api) as client:
        first, again, next_day = [await client.text("QUVEX") for _ in range(3)]

    assert first == again
    assert json.loads(next_day) == COMPANIES.document(Symbol("QUVEX"), TODAY + timedelta(1)) != json.loads(first)


async def test_the_listing_is_csv() -> None:
    async with client_of(sandbox()) as client:
        response = await client.get(function="LISTING_STATUS", apikey=KEY)

    assert response.headers["Content-Type"] == "text/csv"
    body = response.text
    assert body == COMPANIES.listing(TODAY)
    assert len(list(csv.DictReader(body.splitlines()))) > 600


REFUSED_CALLS = {
    "the parameter apikey is invalid or missing": [
        {"function": "OVERVIEW", "symbol": "AAPL"},
        {"function": "OVERVIEW", "symbol": "AAPL", "apikey": ""},
    ],
    "API function": [{"symbol": "AAPL", "apikey": KEY}, {"function": "EARNINGS", "symbol": "AAPL", "apikey": KEY}],
    "Invalid API call": [
        {"function": "OVERVIEW", "apikey": KEY},
        {"function": "OVERVIEW", "symbol": "", "apikey": KEY},
    ],
    "The **demo** API key is for demo purposes only": [{"function": "OVERVIEW", "symbol": "AAPL", "apikey": "demo"}],
}


@pytest.mark.parametrize(
    ("phrase", "query"), [(phrase, query) for phrase, queries in REFUSED_CALLS.items() for query in queries]
)
async def test_a_wrong_call_is_refused_with_status_200(phrase: str, query: dict[str, str]) -> None:
    async with client_of(sandbox()) as client:
        response = await client.get(**query)

    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert phrase in only_text(response.text)


async def test_the_demo_key_gets_ibm() -> None:
    async with client_of(sandbox()) as client:
        assert json.loads(await client.text("IBM", apikey="demo"))["Symbol"] == "IBM"


async def test_there_is_one_path_and_one_method() -> None:
    api = sandbox()
    async with (
        client_of(api) as client,
        client.session.get(client.url + "/more") as elsewhere,
        client.session.post(client.url) as post,
    ):
        assert (elsewhere.status, post.status) == (404, 405)

    assert api.requests == 0


# Limits


@pytest.mark.parametrize("texts", [("3/minute",), ("7/minute", "2/second"), ("9/hour", "4/minute", "1/second")])
async def test_windows_slide_and_are_exact(texts: tuple[str, ...]) -> None:
    draw = random.Random("/".join(texts))
    clock = Clock()
    api = sandbox(*texts, now=clock)
    arrivals: list[int] = []
    expected: list[bool] = []
    got: list[bool] = []

    async with client_of(api) as client:
        for _ in range(60):
            clock.at += draw.choice([0, SECOND // 2, SECOND, SECOND + 1, 15 * SECOND, 60 * SECOND])
            expected.append(
                any(
                    sum(at >= clock.at - limit.period // timedelta(microseconds=1) * 1000 for at in arrivals)
                    >= limit.count
                    for limit in limits(*texts)
                )
            )
            arrivals.append(clock.at)
            got.append("Symbol" not in json.loads(await client.text("QUVEX")))

    assert got == expected
    assert api.refused == sum(expected)
    assert 0 < sum(expected) < 60


async def test_a_refused_request_counts() -> None:
    clock = Clock()
    api = sandbox("1/second", now=clock)

    async with client_of(api) as client:
        for _ in range(4):  # each within a second of the one before it
            await client.overview("QUVEX")
            clock.at += SECOND // 2
        clock.at += SECOND
        after_a_pause = await client.text("QUVEX")

    assert (api.requests, api.refused) == (5, 3)
    assert "Symbol" in json.loads(after_a_pause)


async def test_a_wrong_call_counts() -> None:
    api = sandbox("1/minute")

    async with client_of(api) as client:
        await client.get(function="NONE", apikey=KEY)
        assert "Minute-level" in await client.text("QUVEX")


async def test_each_key_has_limits_and_windows_of_its_own() -> None:
    api = SandboxApi(
        companies=COMPANIES, limits=limits("2/minute"), plans={"B": limits("3/day")}, day=lambda: TODAY, now=Clock()
    )

    async with client_of(api) as client:
        refused = {key: ["Symbol" not in await client.text("QUVEX", key) for _ in range(5)] for key in ("A", "B", "C")}
        named = await client.text("QUVEX", "B")

    assert {key: refusals.index(True) for key, refusals in refused.items()} == {"A": 2, "B": 3, "C": 2}
    assert api.refused == 3 + 2 + 3 + 1
    assert "3 requests per day" in named


async def test_without_limits_nothing_is_refused() -> None:
    api = sandbox()
    async with client_of(api) as client:
        for _ in range(50):
            assert "Symbol" in json.loads(await client.text("QUVEX"))

    assert (api.requests, api.refused) == (50, 0)


@pytest.mark.parametrize(
    ("texts", "phrase"),
    [
        (("1/day",), f"We have detected your API key as {KEY} and our standard API rate limit is 1 requests per day"),
        (("1/day", "1/second"), "our standard API rate limit is 1 requests per day"),
        (("9/day", "1/second"), "spreading out your free API requests more sparingly (1 request per second)"),
        (("9/day", "1/minute"), "spreading out your free API requests more sparingly (1 request per second)"),
        (("9/minute", "1/second"), "query no more than 1 requests per second"),
        (("9/minute", "1/second"), "Burst pattern detected"),
        (("1/minute", "5/second"), "Minute-level rate limit exceed"),
        (("1/minute", "1/second"), "Minute-level rate limit exceed"),
    ],
)
async def test_each_window_has_the_apis_phrase_of_refusal(texts: tuple[str, ...], phrase: str) -> None:
    async with client_of(sandbox(*texts)) as client:
        await client.overview("QUVEX")
        response = await client.overview("QUVEX")

    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    text = only_text(response.text)
    assert phrase in text
    assert "sandbox" in text


async def test_every_plan_can_be_served() -> None:
    for plan in PLANS.values():
        async with client_of(SandboxApi(companies=COMPANIES, limits=plan, day=lambda: TODAY)) as client:
            assert "Symbol" in json.loads(await client.text("QUVEX"))


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not here")
async def test_no_refusal_repeats_a_recorded_sentence() -> None:
    recorded = [" ".join(path.read_text().split()) for path in RECORDINGS.glob("*.json")]
    said: list[str] = []
    for texts in (("1/day",), ("9/day", "1/second"), ("9/minute", "1/second"), ("1/minute",)):
        async with client_of(sandbox(*texts)) as client:
            await client.overview("QUVEX")
            said.append(only_text(await client.text("QUVEX")))
    async with client_of(sandbox()) as client:
        for query in [query for queries in REFUSED_CALLS.values() for query in queries]:
            said.append(only_text((await client.get(**query)).text))  # noqa: PERF401 - each answer is awaited

    assert recorded
    assert not [text for text in said if any(text in whole for whole in recorded)]


# Scripts


async def test_scripted_answers_come_in_order_and_then_the_companys() -> None:
    api = sandbox()
    api.says("QUVEX", "first", status=503, content_type="text/html", headers={"Retry-After": "17"})
    api.says("QUVEX", b"\xff\x00", times=2)

    async with client_of(api) as client:
        answers = [await client.overview("QUVEX") for _ in range(4)]
        other = await client.text("OXNEV")

    assert (answers[0].status, answers[0].text) == (503, "first")
    assert (answers[0].headers["Content-Type"], answers[0].headers["Retry-After"]) == ("text/html", "17")
    assert [answer.body for answer in answers[1:3]] == [b"\xff\x00"] * 2
    assert json.loads(answers[3].text)["Symbol"] == "QUVEX"
    assert json.loads(other)["Symbol"] == "OXNEV"


async def test_a_permanent_script_comes_after_those_for_one_request() -> None:
    api = sandbox()
    api.says("QUVEX", "always", times=None)
    api.says("QUVEX", "once")

    async with client_of(api) as client:
        assert [await client.text("QUVEX") for _ in range(3)] == ["once", "always", "always"]


async def test_a_scripted_document_is_the_answer_from_then_on() -> None:
    api = sandbox()
    api.knows("QUVEX", {"Symbol": "QUVEX", "EPS": 5, "Name": "Ø"})
    api.says("QUVEX", "{}")

    async with client_of(api) as client:
        assert await client.text("QUVEX") == "{}"
        for _ in range(2):
            assert json.loads(await client.text("QUVEX")) == {"Symbol": "QUVEX", "EPS": 5, "Name": "Ø"}


async def test_a_request_over_a_limit_uses_up_no_script() -> None:
    clock = Clock()
    api = sandbox("1/second", now=clock)
    api.says("QUVEX", "scripted")

    async with client_of(api) as client:
        await client.overview("OXNEV")
        refused = await client.text("QUVEX")
        clock.at += SECOND + 1
        answered = await client.text("QUVEX")

    assert "Burst pattern" in refused
    assert answered == "scripted"


async def test_it_lists_the_symbols_of_all_requests_in_order() -> None:
    api = sandbox("2/minute")
    async with client_of(api) as client:
        for symbol in ("QUVEX", "BRK.B", "QUVEX"):
            await client.overview(symbol)

    assert api.seen == ["QUVEX", "BRK.B", "QUVEX"]
    assert (api.requests, api.refused) == (3, 1)


def test_it_forgets_old_symbols_before_they_fill_the_memory() -> None:
    api = sandbox()
    for number in range(250_000):
        api._note(str(number))

    assert len(api.seen) <= 200_000
    assert api.seen[-2:] == ["249998", "249999"]


# Serving


async def test_latency_delays_the_answer_but_the_request_counts_on_arrival() -> None:
    slept: list[float] = []
    two_came, may_answer = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            two_came.set()
        await may_answer.wait()

    api = SandboxApi(
        companies=COMPANIES,
        limits=limits("1/minute"),
        day=lambda: TODAY,
        latency=timedelta(milliseconds=250),
        sleep=sleep,
    )
    async with client_of(api) as client, asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(client.text("QUVEX")) for _ in range(2)]
        await two_came.wait()
        assert (api.requests, api.refused) == (2, 1)
        assert not any(answer.done() for answer in answers)
        may_answer.set()

    assert slept == [0.25, 0.25]  # the refused one too
    assert sorted("Symbol" in json.loads(answer.result()) for answer in answers) == [False, True]


async def test_it_closes_at_once_with_open_connections_and_requests() -> None:
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    api = SandboxApi(
        companies=COMPANIES, limits=[], day=lambda: TODAY, latency=timedelta(hours=1), sleep=sleep, now=Clock()
    )
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        async with api.serve() as url:
            async with session.get(url + "/elsewhere"):
                pass  # its connection is kept open
            waiting = asyncio.create_task(Client(session, url).overview("QUVEX"))
            await asleep.wait()
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_an_occupied_port_is_an_oserror() -> None:
    async with sandbox().serve() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(OSError, match=str(port)):
            async with sandbox().serve(port=port):
                pass


async def test_the_port_is_free_again_afterwards() -> None:
    async with sandbox().serve() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
    async with sandbox().serve(port=port) as again:
        assert again == url


async def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with client_of(sandbox("1/day")) as client:
        await client.overview("QUVEX")
        await client.overview("QUVEX")

    assert KEY not in caplog.text
