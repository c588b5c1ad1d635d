"""An API that counts: a process of its own, which holds every key to its limits and writes each request down.

Its clock is the machine's monotonic one, which no test sets. Each line of its log: nanoseconds, the key's fingerprint,
the symbol, what was answered.
"""

import argparse
import asyncio
import json
import random
import ssl
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from aiohttp import web

from pipeline.model.symbols import Symbol
from pipeline.quota.keys import fingerprint
from pipeline.quota.limits import Limit
from pipeline.sandbox.companies import Companies

OVER = "over"
"""What the log says of a request that exceeded a limit."""
_LONGEST_LIFE = 4 * 3600.0
"""Seconds after which it ends in any case."""


@contextmanager
def counting_api(
    log: Path,
    limits: Sequence[str],
    *,
    host: str = "127.0.0.1",
    certificate: Path | None = None,
    latency: float = 0.1,
    errors: float = 0.01,
) -> Iterator[str]:
    """Run the API while the block runs, and yield its base URL. With a certificate, and its key, it speaks TLS."""
    options = [f"--limit={limit}" for limit in limits] + ([f"--certificate={certificate}"] if certificate else [])
    command = [sys.executable, "-m", "tests.chaos.api", "--host", host, "--log", str(log), *options,
               f"--latency={latency}", f"--errors={errors}"]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            scheme = "https" if certificate else "http"
            yield f"{scheme}://{host}:{int(process.stdout.readline())}/query"
        finally:
            process.stdin.close()


# In its own process


class Windows:
    """The requests of one key in each of its windows, which slide. Refused requests count, too."""

    def __init__(self, limits: list[Limit]) -> None:
        self._windows = [(limit.count, round(limit.period.total_seconds() * 1e9), deque[int]()) for limit in limits]

    def admit(self, now: int) -> bool:
        """Count a request, and return whether it is within every limit. Both ends of a window belong to it."""
        is_within = True
        for most, period, arrivals in self._windows:
            while arrivals and arrivals[0] < now - period:
                arrivals.popleft()
            arrivals.append(now)
            is_within = is_within and len(arrivals) <= most
        return is_within


class CountingApi:
    """Answers with invented companies: late, now and then not at all, never more than the limits admit."""

    def __init__(self, limits: list[Limit], *, latency: float, errors: float, log: TextIO) -> None:
        self._windows: dict[str, Windows] = defaultdict(lambda: Windows(limits))
        self._latency = latency
        self._errors = errors
        self._log = log
        self._companies = Companies()
        self._day = datetime.now(UTC).date()
        self._document = lru_cache(100_000)(self._companies.document)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        now = time.monotonic_ns()
        key, symbol = request.query.get("apikey", ""), request.query.get("symbol", "")
        answer = self._choose(key, symbol, now)
        self._log.write(f"{now} {fingerprint(key)} {symbol} {answer}\n")
        await asyncio.sleep(self._latency * random.uniform(0.3, 1.7))
        return self._response(answer, symbol)

    def _choose(self, key: str, symbol: str, now: int) -> str:
        if not self._windows[key].admit(now):
            return OVER
        if random.random() < self._errors:
            return "503"
        return "unknown" if symbol.startswith("NONE") else "answered"

    def _response(self, answer: str, symbol: str) -> web.Response:
        if answer == "503":
            return web.Response(status=503, text="<html>busy</html>", content_type="text/html")
        if answer == OVER:
            return _json({"Information": "Burst pattern detected: more requests than this plan allows."})
        return _json(self._overview(symbol) if answer == "answered" else {})

    def _overview(self, symbol: str) -> Mapping[str, str]:
        """Return a company that changes in every third request: so followers have snapshots and confirmations."""
        document = dict(self._document(Symbol(symbol), self._day) or {})
        document["Symbol"] = symbol
        if random.random() < 1 / 3:
            document["MarketCapitalization"] = str(random.randrange(10**9, 10**12))
        return document


def _json(document: Mapping[str, str]) -> web.Response:
    return web.Response(text=json.dumps(document), content_type="application/json")


async def _serve(options: argparse.Namespace) -> None:
    with options.log.open("a", buffering=1) as log:
        api = CountingApi(options.limit, latency=options.latency, errors=options.errors, log=log)
        runner = web.ServerRunner(web.Server(api.handle, access_log=None), shutdown_timeout=0.05)
        await runner.setup()
        tls = None
        if options.certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(options.certificate)
        await web.TCPSite(runner, options.host, 0, backlog=1024, ssl_context=tls).start()
        print(runner.addresses[0][1], flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async with asyncio.timeout(_LONGEST_LIFE):
            await reader.read()  # until whoever started it ends, or closes it
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--limit", action="append", type=Limit.parse, default=[])
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--errors", type=float, default=0.01)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--log", type=Path, required=True)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
