"""Runs against the stand-in API, on a clock that waiting moves."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.collect.summary import Summary
from pipeline.model.outcomes import RunStatus
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import Limit
from tests.support.clocks import ManualClock, server_goes_by
from tests.support.sandbox import Served

SYMBOLS = tuple(Symbol(f"QU{a}{b}") for a in "ABCDEFGH" for b in "ABCDEFGH")
AMBIGUOUS = '{"Information": "Please consider spreading out your free API requests more sparingly (1 per second)."}'
BURST = '{"Information": "Burst pattern detected. No more than 5 requests per second."}'
QUOTA = '{"Information": "Our standard rate limit is 25 requests per day."}'
BAD_KEY = '{"Error Message": "the parameter apikey is invalid or missing."}'
PREMIUM = '{"Information": "This is a premium endpoint."}'


def limits(*texts: str) -> tuple[Limit, ...]:
    return tuple(Limit.parse(text) for text in texts)


class Runs:
    """Does runs of the first symbols, without limits and with one worker by default."""

    def __init__(self, database: Path, served: Served, clock: ManualClock) -> None:
        server_goes_by(served.base_url, clock)
        self.database = database
        self.served = served
        self.clock = clock
        self.source = Source(
            base_url=served.base_url,
            keys=(ApiKey("", "S3CR3TK3Y", ()),),
            concurrency=1,
            timeout=timedelta(seconds=5),
            wait=timedelta(seconds=120),
            attempts=3,
        )
        for symbol in SYMBOLS:
            served.api.knows(symbol, {"Symbol": symbol, "Name": "known"})

    async def collect(
        self,
        count: int,
        *,
        max_requests: int | None = None,
        concurrency: int = 1,
        limits: tuple[Limit, ...] = (),
        base_url: str | None = None,
        keys: tuple[ApiKey, ...] = (),
    ) -> Summary:
        """With the source's key and these limits, or with these keys."""
        keys = keys or (replace(self.source.keys[0], limits=limits),)
        return await collect(
            self.database,
            replace(self.source, concurrency=concurrency, keys=keys, base_url=base_url or self.served.base_url),
            Order(SYMBOLS[:count], None, max_requests=max_requests),
            halt=Halt(),
            clock=self.clock.as_clock(),
        )

    @property
    def requested(self) -> Counter[str]:
        """How many requests there were for each symbol."""
        return Counter(self.served.api.seen)


def ended(summary: Summary) -> tuple[RunStatus, int]:
    return summary.status, summary.exit_code
