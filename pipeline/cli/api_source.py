"""Choose the API that `collect` and `run` send requests to: the real one, or with --sandbox one in this process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.collect.order import Source
from pipeline.errors import ExitCode, Trouble
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey, most_workers
from pipeline.settings.load import Settings
from pipeline.settings.schema import SourceTable
from pipeline.store.database import sandbox_beside
from pipeline.store.stored_symbols import holds_invented_data

EXAMPLE_SYMBOLS = tuple(map(Symbol, ("AAPL", "GOOG", "TSLA", "MSFT", "PEP")))
"""What --sandbox collects if no symbols are configured: the five of the asyncio lesson that this project grew from."""
SANDBOX_KEY = "sandbox"
"""The sandbox accepts any key; the real one is never sent to it. Of several, each begins with this."""
REAL_API = SourceTable().base_url
SANDBOX_LATENCY = timedelta(milliseconds=200)
"""Delay of each sandbox response: about that of the real API."""


class MixedData(Trouble):
    """Invented data and real data would share a database."""

    exit_code = ExitCode.REFUSED


def source(settings: Settings, base_url: str, keys: tuple[ApiKey, ...]) -> Source:
    """Return where to request overviews, with which keys."""
    return Source(
        base_url,
        keys,
        settings.concurrency or most_workers(keys),
        settings.timeout,
        settings.wait,
        settings.attempts,
        None if settings.proxy is None else settings.proxy.url,
        settings.time_url,
    )


def sandbox_settings(settings: Settings, named: Path | None) -> Settings:
    """Return the settings for --sandbox: a database of its own, and never without symbols.

    The database is the one `named` on the command line, else sandbox.db beside the configured one.
    """
    symbols = settings.symbols if settings.all_symbols else EXAMPLE_SYMBOLS
    database = named or sandbox_beside(settings.database)
    return replace(settings, database=database, symbols=symbols, fleet=None)


def sandbox_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """Return a key of the sandbox for each that is configured, with its limits."""
    return tuple(
        ApiKey(plan.name, f"{SANDBOX_KEY}-{plan.name}" if plan.name else SANDBOX_KEY, plan.limits)
        for plan in settings.plans
    )


def refuse_mixing(database: Path, base_url: str, *, sandbox: bool) -> None:
    """Raise MixedData if invented data would be stored beside real data, or real data beside invented data.

    A stand-in served elsewhere (`pipeline sandbox`) may go on with either.
    """
    invented = holds_invented_data(database)
    if sandbox and invented is False:
        raise MixedData(
            f"{database} holds real data: --sandbox would mix invented data into it",
            remedy="name another file with --database",
        )
    if not sandbox and invented and base_url == REAL_API:
        raise MixedData(
            f"{database} holds invented data of the sandbox: real data would be mixed into it",
            remedy="configure another database, or move this one and its .record away",
        )


@asynccontextmanager
async def serve_sandbox(
    settings: Settings, *, now: Callable[[], datetime], latency: timedelta = SANDBOX_LATENCY
) -> AsyncIterator[str]:
    """Serve the sandbox API with the configured limits of each key while the block runs, and yield its base URL."""
    from pipeline.sandbox.companies import Companies  # noqa: PLC0415 - only --sandbox needs it and a server
    from pipeline.sandbox.server import SandboxApi  # noqa: PLC0415 - as above

    plans = {key.secret: key.limits for key in sandbox_keys(settings)}
    api = SandboxApi(companies=Companies(), limits=(), plans=plans, day=lambda: now().date(), latency=latency, wall=now)
    async with api.serve() as base_url:
        yield base_url
