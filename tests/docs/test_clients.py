"""Clients of the API in docs/http.md, unpatched, and the vendor of docs/agents.md: what they read is of the day."""

import asyncio
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.collect.on_demand import NotCollected
from pipeline.model.symbols import Symbol
from pipeline.query.history import History
from tests.docs.generate import DOCS
from tests.support.beside import beside
from tests.support.observations import Observed, database_of, recorded_database
from tests.support.recordings import needs_recordings
from tests.support.site import served

ADDRESS = "http://127.0.0.1:8080"


def blocks(page: str, *words: str) -> list[str]:
    """Return the page's examples in Python that have one of these words."""
    found = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [block for block in found if any(word in block for word in words)]


CLIENTS = blocks("http.md", "avantage", "alpha_vantage", "av_api")
VENDOR, REGISTERED = blocks("agents.md", "get_fundamentals")


def client_module(name: str) -> Any:
    """Return a module of a client. One imports pandas: not while tests are collected, which each worker does."""
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what the examples set be as before, once the test has ended."""
    alpha_vantage, av_api = client_module("alpha_vantage.alphavantage").AlphaVantage, client_module("av_api.client")
    monkeypatch.setattr(alpha_vantage, "_ALPHA_VANTAGE_API_URL", alpha_vantage._ALPHA_VANTAGE_API_URL)
    monkeypatch.setattr(av_api, "API_BASE_URL", av_api.API_BASE_URL)


def invented() -> Path:
    """Return a record in which Microsoft's P/E was 30 on 1 June 2023, and another one before and after."""
    days = {datetime(2023, 5, 30, tzinfo=UTC): "20", datetime(2023, 5, 31, tzinfo=UTC): "30"}
    days[datetime(2023, 6, 2, tzinfo=UTC)] = "40"
    documents = {at: {"Symbol": "MSFT", "Name": "Microsoft", "PERatio": ratio} for at, ratio in days.items()}
    return database_of([Observed("MSFT", at, document) for at, document in documents.items()])


def test_there_are_three_clients() -> None:
    assert len(CLIENTS) == 3


@pytest.mark.parametrize("record", [invented, pytest.param(recorded_database, marks=needs_recordings)])
def test_each_client_reads_the_value_of_the_day_in_its_base_url(
    record: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    database = record()
    with History.open(database) as history:
        (then,), (now,) = (history.as_of(at, ["MSFT"], ["pe_ratio"]) for at in ("2023-06-01", "now"))
    assert then["pe_ratio"] != now["pe_ratio"]

    with beside(lambda: served(database)) as client:
        for example in CLIENTS:
            assert ADDRESS in example
            exec(compile(example.replace(ADDRESS, client.url), "docs/http.md", "exec"), {})
            symbol, ratio = capsys.readouterr().out.split()
            assert (symbol, float(ratio)) == ("MSFT", then["pe_ratio"])


async def nothing_left(_symbol: Symbol) -> NotCollected:
    return NotCollected("the plan's 25/day is used up", is_quota=True)


def test_the_clients_take_refusals_for_what_they_are() -> None:
    database = invented()
    with beside(lambda: served(database, read_through=nothing_left)) as client:
        address = f"{client.url}/query"
        with pytest.raises(client_module("avantage.exceptions").RateLimitError, match="used up"):
            asyncio.run(_by_avantage(address, "IBM"))
        assert asyncio.run(_by_avantage(address, "MSFT")) == 40
        client_module("alpha_vantage.alphavantage").AlphaVantage._ALPHA_VANTAGE_API_URL = f"{address}?"
        fundamentals = client_module("alpha_vantage.fundamentaldata").FundamentalData(key="any")
        with pytest.raises(ValueError, match="used up"):
            fundamentals.get_company_overview("IBM")
        with pytest.raises(ValueError, match="not kept here"):
            fundamentals.get_dividends("IBM")


async def _by_avantage(address: str, symbol: str) -> float | None:
    async with client_module("avantage").AlphaVantageClient("any key", base_url=address) as client:
        overview = await client.fundamentals.overview(symbol)
        ratio: float | None = overview.pe_ratio
        return ratio


@pytest.fixture
def tradingagents(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Yield a module of the shape of TradingAgents' router, which is not on PyPI: vendors by method.

    It has another vendor, which knows the future.
    """
    methods: dict[str, dict[str, Callable[..., str]]] = {"get_fundamentals": {"yfinance": lambda *_: "the future"}}
    config: dict[str, Mapping[str, str]] = {}

    def route_to_vendor(method: str, *arguments: str) -> str:
        vendor = config.get("tool_vendors", {}).get(method) or config["data_vendors"]["fundamental_data"]
        return methods[method][vendor](*arguments)

    contents: dict[str, dict[str, Any]] = {
        "tradingagents": {},
        "tradingagents.default_config": {"DEFAULT_CONFIG": {"data_vendors": {"fundamental_data": "yfinance"}}},
        "tradingagents.dataflows": {},
        "tradingagents.dataflows.config": {"set_config": config.update},
        "tradingagents.dataflows.interface": {
            "VENDOR_LIST": ["yfinance"], "VENDOR_METHODS": methods, "route_to_vendor": route_to_vendor
        },
    }  # fmt: skip
    for name, names in contents.items():
        module = ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    interface = sys.modules["tradingagents.dataflows.interface"]
    monkeypatch.setattr(sys.modules["tradingagents.dataflows"], "interface", interface, raising=False)
    return interface


def test_the_vendor_answers_what_was_known_when_the_day_began(
    answerable: Path, tradingagents: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor = ModuleType("record_vendor")
    exec(compile(VENDOR, "docs/agents.md", "exec"), vars(vendor))
    monkeypatch.setitem(sys.modules, "record_vendor", vendor)
    monkeypatch.chdir(answerable.parents[1])
    exec(compile(REGISTERED, "docs/agents.md", "exec"), {})

    assert "# AAPL as known on 2026-03-14 (first seen 2026-03-13" in capsys.readouterr().out

    def ratio(day: str, ticker: str = "AAPL") -> str:
        told: str = tradingagents.route_to_vendor("get_fundamentals", ticker, day)
        return next((line for line in told.splitlines() if line.startswith("PERatio")), told)

    days = ("2026-02-21", "2026-03-13", "2026-03-14", "2027-01-01")
    assert [ratio(day) for day in days] == ["PERatio: 30", "PERatio: 30", "PERatio: 33", "PERatio: 33"]
    for day, ticker in (("2026-02-20", "AAPL"), ("2026-03-14", "NONE"), ("2020-01-01", "META")):
        assert ratio(day, ticker).startswith("NO_DATA")
