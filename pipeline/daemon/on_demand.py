"""On demand: the symbols that clients wait for. Each is collected once, however many clients ask for it.

Nothing is requested here: clients only leave word of what they want. The daemon's loop, which alone collects, takes it
up between two scheduled runs, some symbols a run; and each symbol that any run observes is no longer waited for.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pipeline.clock import Clock
from pipeline.collect.on_demand import Examined, NotCollected, examine, pause_after
from pipeline.collect.summary import Summary
from pipeline.daemon.config import DaemonConfig
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import Outcome, RunId, RunStatus
from pipeline.model.symbols import Symbol, requested_as, spellings
from pipeline.settings.renames import CurrentNames
from pipeline.store.database import DatabaseError

MOST_AT_ONCE = 20
"""Symbols in one run. At a request a second it ends before a fire time that comes meanwhile is late."""
MOST_WANTED = 100
"""Symbols that may be waited for at the same time."""
MOST_WAITING = 60
"""Clients that wait at the same time: fewer than there may be connections, so that others are answered meanwhile."""
FRESHER_WITHIN, ANY_WITHIN = timedelta(seconds=4), timedelta(seconds=25)
"""How long a client waits: where there is an older document, less than the timeout of most clients."""
_EXAMINED_AT_ONCE = 2
"""Clients whose symbols are looked up at the same time: each takes a thread, and requests to the API need some too."""
_SILENT_IN_A_ROW = 3
"""Symbols without any response, one after the other: then it is not the symbols."""
_REMEMBERED = 1_000
_LOOKED_UP_EVERY = timedelta(seconds=30)
"""How long a symbol is taken for fresh without a look at the database, which may be replaced."""


class _Wanted(NamedTuple):
    """A symbol that somebody waits for."""

    answer: "asyncio.Future[NotCollected | None]"
    within: timedelta


class OnDemand:
    """Hands what clients want to the daemon's loop, and what became of it to the clients."""

    def __init__(
        self,
        database: Path,
        *,
        wake: Callable[[], None],
        why_not: Callable[[], str | None],
        active_run: Callable[[], RunId | None],
        config: Callable[[], DaemonConfig],
        clock: Clock,
    ) -> None:
        """`wake` wakes the daemon's loop; the others return why it can run nothing, its run, and the configuration."""
        self.fresher_within, self.any_within = FRESHER_WITHIN, ANY_WITHIN
        self._database = database
        self._wake = wake
        self._why_not = why_not
        self._active_run = active_run
        self._config = config
        self._clock = clock
        self._wanted: dict[Symbol, _Wanted] = {}
        """In the order in which they were asked for."""
        self._waiting = 0
        self._fruitless: dict[Symbol, int] = {}
        """How many requests in a row brought no overview, of those who were asked for."""
        self._settled: dict[Symbol, Nanoseconds] = {}
        """What was fresh, or not covered, when it was looked up; until when that is taken to be so."""
        self._requested: set[Symbol] = set()
        """What the run on demand under way has not observed yet."""
        self._silent = 0
        self._pauses = 0
        self._paused: NotCollected | None = None
        self._paused_until = clock.monotonic()
        self._examining = asyncio.Semaphore(_EXAMINED_AT_ONCE)

    async def collect(self, symbol: Symbol) -> NotCollected | None:
        """Return once the symbol's company is fresh, or not covered; or else why it is not collected now.

        A caller that goes away changes nothing for others. What it asked for is collected all the same.
        """
        name = self._name(symbol)
        if self._clock.monotonic() < self._settled.get(name, 0):
            return None
        wanted = self._wanted.get(name) or await self._want(name)
        return await self._wait(wanted) if isinstance(wanted, _Wanted) else wanted

    @property
    def is_wanted(self) -> bool:
        """Whether a client waits for anything."""
        return bool(self._wanted)

    async def next(self) -> Sequence[Symbol]:
        """Return what to request in one run. What became fresh meanwhile, or cannot be requested, is answered.

        Raise DatabaseError.
        """
        some = list(self._wanted)[:MOST_AT_ONCE]
        if (why := self._why_not_now()) is not None:
            self.refuse(some, why)
            return ()
        examined = await self._examine(some)
        for symbol in some:
            if symbol not in examined.due:
                self._answer(symbol, examined.refused.get(symbol))
        self._requested = set(examined.due)
        return examined.due

    def observed(self, symbol: Symbol, outcome: Outcome, detail: str) -> None:
        """Note how a symbol ended in any run: nobody has to wait for it any longer."""
        if outcome is Outcome.DEFERRED:
            return  # it was not observed, and the next run has it
        self._requested.discard(symbol)
        self._silent = self._silent + 1 if outcome is Outcome.FAILED else 0
        if outcome in (Outcome.STORED, Outcome.UNCHANGED):
            self._fruitless.pop(symbol, None)
        elif symbol in self._wanted:
            self._fruitless[symbol] = self._fruitless.pop(symbol, 0) + 1
            if len(self._fruitless) > _REMEMBERED:
                del self._fruitless[next(iter(self._fruitless))]
        has_none = outcome in (Outcome.FAILED, Outcome.REJECTED)
        self._answer(symbol, NotCollected(detail) if has_none else None)

    def ended(self, summary: Summary) -> None:
        """Note that a run on demand has ended: what it did not observe is refused for its reason."""
        why = NotCollected(summary.detail or "it could not be stored", summary.status is RunStatus.QUOTA_EXHAUSTED)
        self.refuse(self._requested, why)
        was_cut_short = summary.status is RunStatus.FAILED and summary.counts[Outcome.DEFERRED] > 0
        if was_cut_short or self._silent >= _SILENT_IN_A_ROW:
            self.pause(why.reason)
        elif summary.counts[Outcome.STORED] + summary.counts[Outcome.UNCHANGED]:
            self._pauses = 0

    def pause(self, reason: str) -> None:
        """Request nothing for a time, which doubles each time: any other symbol would fare no better."""
        self._pauses += 1
        self._paused = NotCollected(reason)
        self._paused_until = self._clock.monotonic() + nanoseconds(pause_after(self._pauses))
        self.refuse_all(self._paused)

    def end_pause(self) -> None:
        """Forget what failed: somebody has changed the configuration."""
        self._paused = None
        self._settled.clear()
        self._pauses = self._silent = 0
        self._fruitless.clear()

    def refuse(self, symbols: Iterable[Symbol], why: NotCollected) -> None:
        """Tell all who wait for any of the symbols why it is not collected."""
        for symbol in symbols:
            self._answer(symbol, why)

    def refuse_all(self, why: NotCollected) -> None:
        """Tell all who wait why nothing is collected."""
        self.refuse(list(self._wanted), why)

    async def _want(self, symbol: Symbol) -> _Wanted | NotCollected | None:
        """Leave word that a symbol is wanted; or return why it cannot be requested, None if it need not be."""
        if (why := self._why_not_now()) is not None:
            return why
        try:
            async with self._examining:
                examined = await self._examine([symbol])
        except DatabaseError as error:
            return NotCollected(str(error))
        self._remember(examined.settled)
        why = self._why_not_now() or examined.refused.get(symbol)  # it may have been stopped meanwhile
        if why is not None or symbol not in examined.due:
            return why
        if symbol not in self._wanted:
            if len(self._wanted) >= MOST_WANTED:
                return NotCollected(f"{MOST_WANTED} other symbols are waited for")
            within = self.fresher_within if symbol in examined.observed else self.any_within
            self._wanted[symbol] = _Wanted(asyncio.get_running_loop().create_future(), within)
            self._wake()
        return self._wanted[symbol]

    def _remember(self, settled: Mapping[Symbol, datetime]) -> None:
        """Look these symbols up again only when they may have become stale, or a moment has passed."""
        if len(self._settled) + len(settled) > _REMEMBERED:
            self._settled.clear()
        now, own = self._clock.now(), self._clock.monotonic()
        self._settled.update(
            (symbol, own + nanoseconds(min(until - now, _LOOKED_UP_EVERY))) for symbol, until in settled.items()
        )

    def _answer(self, symbol: Symbol, answer: NotCollected | None) -> None:
        wanted = self._wanted.pop(symbol, None)
        if wanted is not None:
            wanted.answer.set_result(answer)

    async def _wait(self, wanted: _Wanted) -> NotCollected | None:
        if self._waiting >= MOST_WAITING:
            return NotCollected(f"{MOST_WAITING} other clients are waiting: ask again later")
        seconds = wanted.within.total_seconds()
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(wanted.answer)  # others wait for it, too
        except TimeoutError:
            return NotCollected(f"not collected within {seconds:g} s, as others come first: ask again later")
        finally:
            self._waiting -= 1

    async def _examine(self, symbols: Sequence[Symbol]) -> Examined:
        config = self._config()
        return await asyncio.to_thread(
            examine,
            self._database,
            symbols,
            keys=config.source.keys,
            fresh_for=config.fresh_for,
            fruitless={symbol: self._fruitless[symbol] for symbol in symbols if symbol in self._fruitless},
            active_run=self._active_run(),
            now=self._clock.now(),
            uptime=self._clock.uptime(),
        )

    def _why_not_now(self) -> NotCollected | None:
        if (why := self._why_not()) is not None:
            return NotCollected(why)
        return self._paused if self._clock.monotonic() < self._paused_until else None

    def _name(self, symbol: Symbol) -> Symbol:
        """Return the symbol to request: the company's of now, spelled as it is configured, or else as the API does."""
        config = self._config()
        ((name,), _) = CurrentNames(config.renames.renames, self._clock.now()).of([symbol])
        written = spellings(name)
        if len(written) == 1:
            return name
        listed = frozenset(config.listed.symbols)
        return next((one for one in written if one in listed), Symbol(requested_as(name)))
