"""Hostile servers: however the API, a proxy or the line misbehaves, each symbol ends as the table of outcomes says."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ExitCode
from tests.support.tls import authority, certificate
from tests.torture.servers.hostility import Hostility, served
from tests.torture.servers.kinds import GOOD, KINDS, Kind
from tests.torture.servers.saying import KEY
from tests.torture.trial import Bout, Mutant, Trial

_AT_ONCE = 16
"""Kinds of one run. Between each two a good answer is asked for: ten failures in a row would end it."""
_SLOW = 2
"""How many of them may last until their deadline."""
_DEADLINE = 4
"""Seconds for a request: a good answer takes long on a busy machine."""
_ENDS_WITHIN = 180
_MOST_MEMORY = 150 << 20
"""Bytes: a run takes 60 MB by itself, and a body that is let in without bounds 100 MB more."""
_CONFIGURATION = """
database = "overviews.db"
symbols.list = {symbols}
[source]
base_url = "{url}"
limits = {limits}
concurrency = 3
timeout_seconds = {deadline}
[collect]
attempts = 1
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, what it printed, and the most memory it took."""

    code: int
    printed: str
    memory: int


def run(bout: Bout) -> None:
    """Collect from a server that misbehaves, and compare how each symbol ended."""
    asyncio.run(_run(bout))


async def _run(bout: Bout) -> None:
    authority().cert_pem.write_to_path(str(bout.folder / "authority.pem"))
    left = list(KINDS)
    bout.random.shuffle(left)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(served(tls)) for tls in (None, certificate("localhost"))]
        while bout.goes_on():
            if len(left) < _AT_ONCE:
                left += bout.random.sample(list(KINDS), len(KINDS))
            names, left = _next(left)
            await _collect(bout, servers[bout.random.randrange(3) == 0], names)


def _next(left: list[str]) -> tuple[list[str], list[str]]:
    """Return the kinds of the next run, few of which are slow, and those that are left."""
    taken: list[str] = []
    kept: list[str] = []
    slow = 0
    for name in left:
        is_slow = KINDS[name].may_be_slow
        if len(taken) < _AT_ONCE and name not in taken and not (is_slow and slow >= _SLOW):
            taken.append(name)
            slow += is_slow
        else:
            kept.append(name)
    return taken, kept


async def _collect(bout: Bout, server: Hostility, names: list[str]) -> None:
    """Do one run, in which each symbol is answered in one of these ways."""
    folder = bout.folder / "run"
    (folder / "config").mkdir(parents=True)
    kinds = {f"S{place}": (name, KINDS[name]) for place, name in enumerate(names)}
    good = {f"G{place}": ("is good", GOOD) for place in range(len(names))}
    symbols = [symbol for pair in zip(kinds, good, strict=True) for symbol in pair]
    reuses = bout.random.random() < 0.5
    text = _CONFIGURATION.format(
        symbols=json.dumps(symbols),
        url=server.url,
        limits="[]" if reuses else '["1000/minute"]',
        deadline=_DEADLINE,
    )
    (folder / "config" / "pipeline.toml").write_text(text)
    server.begin({symbol: kind for symbol, (_, kind) in {**kinds, **good}.items()})
    environment = bout.environment(ALPHAVANTAGE_API_KEY=KEY, SSL_CERT_FILE=str(bout.folder / "authority.pem"))
    ended = await asyncio.to_thread(_run_collect, folder, environment)
    bout.count("runs")
    bout.count("answers", len(kinds))
    _check(bout, server, {**kinds, **good}, ended, folder, reuses=reuses)
    shutil.rmtree(folder)


def _run_collect(folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run `pipeline collect` to its end, or for as long as it may take."""
    printed = folder / "printed"
    with printed.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "collect", "-vv"],
            cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
        timer = threading.Timer(_ENDS_WITHIN, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(process.returncode, printed.read_text(encoding="utf-8", errors="replace"), usage.ru_maxrss << 10)


def _check(
    bout: Bout,
    server: Hostility,
    kinds: Mapping[str, tuple[str, Kind]],
    ended: Ended,
    folder: Path,
    *,
    reuses: bool,
) -> None:
    """Check what each symbol came to, and that nothing was asked twice, kept or told that may not be."""
    found = _outcomes(folder)
    if "Traceback" in ended.printed or ended.code not in (ExitCode.DONE, ExitCode.PARTIAL):
        names = ", ".join(name for name, kind in kinds.values() if kind is not GOOD)
        bout.broken(f"exit code {ended.code} after {names}: {ended.printed[-600:]!r}")
        return
    for symbol, (name, kind) in kinds.items():
        outcome, detail = found.get(symbol, ("none", None))
        is_sound = kind.outcomes == GOOD.outcomes  # but the one before on its connection may have closed that
        was_reused = is_sound and reuses and outcome == "failed" and "dropped" in str(detail)
        if outcome not in kind.outcomes and not was_reused:
            bout.broken(f"a server that {name}: {outcome}, not {' or '.join(sorted(kind.outcomes))} ({detail})")
        if server.requests[symbol] != 1:
            bout.broken(f"a server that {name} was asked {server.requests[symbol]} times, not once")
    expected = (
        ExitCode.PARTIAL if {"failed", "rejected"} & {outcome for outcome, _ in found.values()} else ExitCode.DONE
    )
    if ended.code != expected:
        bout.broken(f"exit code {ended.code} of a run with {sorted({outcome for outcome, _ in found.values()})}")
    for line in server.strange[:3]:
        bout.broken(f"asked for what nobody should ask: {line[:200]}")
    if ended.memory > _MOST_MEMORY:
        bout.broken(
            f"took {ended.memory >> 20} MB for {', '.join(name for name, kind in kinds.values() if kind is not GOOD)}"
        )
    for file in folder.rglob("*"):
        if file.is_file() and KEY.encode() in file.read_bytes().upper():
            bout.broken(f"{file.name} holds the key")


def _outcomes(folder: Path) -> dict[str, tuple[str, str | None]]:
    database = folder / "overviews.db"
    if not database.exists():
        return {}
    with closing(sqlite3.connect(database)) as db:
        found = db.execute("SELECT symbol, outcome, detail FROM outcomes")
        return {symbol: (outcome, detail) for symbol, outcome, detail in found}


TRIAL = Trial(
    "hostile servers",
    "each answer ends as the table of outcomes says, in time and in little memory; nothing is sent twice; no key leaks",
    run,
    (
        Mutant("a request is sent again", "pipeline/api/client.py", "middlewares=(_sent_once,),", "middlewares=(),"),
        Mutant("redirects are followed", "pipeline/api/client.py", "allow_redirects=False", "allow_redirects=True"),
        Mutant("a body of any size is read", "pipeline/api/client.py", "if size > LARGEST_BODY:", "if size < 0:"),
        Mutant(
            "a document with the key in it is kept",
            "pipeline/api/client.py",
            "if self._redaction.finds_key(body):",
            "if self._redaction.finds_key(b''):",
        ),
    ),
    short_attempts=3,
)
