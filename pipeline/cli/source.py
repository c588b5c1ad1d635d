"""The stand-in API inside the process of a verb: no key, a database of its own, the plan that is configured."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.model.symbols import Symbol
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from pipeline.settings.load import Settings

EXAMPLE_SYMBOLS = tuple(map(Symbol, ("AAPL", "GOOG", "TSLA", "MSFT", "PEP")))
"""What the stand-in API is asked for where no symbols are configured: the five of the lesson this began as."""
SANDBOX_KEY = "sandbox"
"""The stand-in API takes any key; the real one is never sent there."""
LATENCY = timedelta(milliseconds=200)
"""To each answer: about what the real one takes."""


def sandbox_database(database: Path) -> Path:
    """Return the file beside the configured one: what is invented never mixes with what is real."""
    return database.with_name("sandbox.db")


@asynccontextmanager
async def serve_sandbox(
    settings: Settings, *, now: Callable[[], datetime], latency: timedelta = LATENCY
) -> AsyncIterator[str]:
    """Serve the stand-in API while the block runs, and yield its URL."""
    api = SandboxApi(companies=Companies(), limits=settings.limits, day=lambda: now().date(), latency=latency)
    async with api.serve() as base_url:
        yield base_url
