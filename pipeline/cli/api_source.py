"""Choose the API that `collect` and `run` send requests to: the real one, or with --sandbox one in this process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.collect.order import Source
from pipeline.model.symbols import Symbol
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from pipeline.settings.load import Settings

EXAMPLE_SYMBOLS = tuple(map(Symbol, ("AAPL", "GOOG", "TSLA", "MSFT", "PEP")))
"""What --sandbox collects if no symbols are configured: the five of the asyncio lesson that this project grew from."""
SANDBOX_KEY = "sandbox"
"""The sandbox accepts any key; the real one is never sent to it."""
SANDBOX_LATENCY = timedelta(milliseconds=200)
"""Delay of each sandbox response: about that of the real API."""


def source(settings: Settings, base_url: str, key: str) -> Source:
    """Return where to request overviews, within the configured limits."""
    return Source(
        base_url,
        key,
        settings.limits,
        settings.concurrency,
        settings.timeout,
        settings.wait,
        settings.attempts,
    )


def sandbox_settings(settings: Settings) -> Settings:
    """Return the settings for --sandbox: a database of its own beside the configured one, and never without symbols.

    Invented data must not mix with real data.
    """
    symbols = settings.symbols if settings.all_symbols else EXAMPLE_SYMBOLS
    return replace(settings, database=settings.database.with_name("sandbox.db"), symbols=symbols)


@asynccontextmanager
async def serve_sandbox(
    settings: Settings, *, now: Callable[[], datetime], latency: timedelta = SANDBOX_LATENCY
) -> AsyncIterator[str]:
    """Serve the sandbox API with the configured limits while the block runs, and yield its base URL."""
    api = SandboxApi(companies=Companies(), limits=settings.limits, day=lambda: now().date(), latency=latency)
    async with api.serve() as base_url:
        yield base_url
