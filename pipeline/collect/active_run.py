"""The run under way: workers that fetch symbols, hand over the overviews to be stored, and count the outcomes."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import structlog

from pipeline.api.errors import ApiError, OtherSymbol, UnknownSymbol
from pipeline.clock import Clock
from pipeline.collect.failures import Failures, Uncovered
from pipeline.collect.fetch import Attempts, Fetch, Fetched
from pipeline.collect.halt import Halt, Halted
from pipeline.collect.ports import Results, Slots, TakenElsewhere
from pipeline.model.outcomes import Outcome, RunId, SymbolResult
from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol
from pipeline.store.database import StorageError

OnOutcome = Callable[[Symbol, Outcome, str], None]
"""Called with a symbol that has ended, how, and why, once that is durable."""

UNSTORED_PER_WORKER = 8
"""Overviews of each worker that may wait until they are durable: enough to fill a transaction while one is written."""


class ActiveRun:
    """A run under way, and how many symbols ended how so far."""

    def __init__(
        self,
        run: RunId,
        due: list[Symbol],
        *,
        fetch: Fetch,
        slots: Slots,
        results: Results,
        halt: Halt,
        clock: Clock,
        on_outcome: OnOutcome = lambda _symbol, _outcome, _detail: None,
    ) -> None:
        self.id = run
        self.due = len(due)
        self.counts: Counter[Outcome] = Counter()
        self.slots = slots
        self.failures = Failures()
        self.uncovered = Uncovered()
        self.possible_renames: list[Rename] = []
        self.taken_elsewhere: list[Symbol] = []
        """Symbols that ended, or will, in another process that shares the run."""
        self._left: Iterator[Symbol] = iter(due)
        self._fetch = fetch
        self._results = results
        self._halt = halt
        self._clock = clock
        self._on_outcome = on_outcome
        self._room = asyncio.Semaphore(0)
        self._bug: BaseException | None = None
        self._requesting: set[asyncio.Task[None]] = set()
        self._is_cancelling = False
        self._log = structlog.get_logger().bind(run=run)

    @property
    def busy_seconds(self) -> float:
        """How long the requests took, added up: what one after another would have taken."""
        return self._fetch.busy / 1e9

    async def work(self, workers: int) -> None:
        """Fetch symbol after symbol with a fixed number of workers, until none is left or the run is halted.

        A worker does not wait until its overview is durable, but only a few of each worker may wait for that. Raise
        whatever the store raised besides StorageError: a bug.
        """
        self._room = asyncio.Semaphore(workers * UNSTORED_PER_WORKER)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, self.due)):
                group.create_task(self._work())
        for _ in range(workers * UNSTORED_PER_WORKER):
            await self._room.acquire()
        if self._bug is not None:
            raise self._bug

    def rest(self) -> Iterator[Symbol]:
        """Yield the symbols that no worker started on."""
        return self._left

    async def wait_for_store(self) -> None:
        """Return once the store has written something: it may be waiting for a disk, or be dead."""
        await self._results.ping()

    def cancel_requests(self) -> None:
        """Cancel the requests still open."""
        self._is_cancelling = True
        for task in self._requesting:
            task.cancel()

    async def _work(self) -> None:
        for symbol in self._left:
            await self._observe(symbol)
            if self._halt.reasons:
                return

    async def _observe(self, symbol: Symbol) -> None:
        """Fetch one symbol, and hand over its overview to be stored."""
        attempts = Attempts()
        try:
            fetched = await self._fetch_cancellably(symbol, attempts)
        except StorageError as error:
            self._count_unstored(attempts, error)
        except Halted:
            await self._note(symbol, Outcome.DEFERRED, attempts, f"the run ended first: {self._halt.reasons[0]}")
        except TakenElsewhere:
            self.taken_elsewhere.append(symbol)
        except UnknownSymbol as error:
            await self._note_unknown(symbol, attempts, str(error))
        except ApiError as error:
            if isinstance(error, OtherSymbol) and error.answered is not None:
                self.possible_renames.append(Rename(symbol, error.answered))
            await self._note(symbol, error.outcome, attempts, str(error))
        else:
            self.failures.end_row()
            self.uncovered.end_row()
            await self._room.acquire()
            self._results.hand_over(
                self.id,
                fetched.overview,
                at=fetched.at,
                attempts=attempts.sent,
                slot=fetched.slot,
                on_done=partial(self._on_written, symbol, attempts),
            )

    async def _fetch_cancellably(self, symbol: Symbol, attempts: Attempts) -> Fetched:
        """Fetch, so that `cancel_requests` ends it with Halted."""
        task = asyncio.current_task()
        assert task is not None
        self._requesting.add(task)
        try:
            return await self._fetch(symbol, attempts)
        except asyncio.CancelledError:
            if not self._is_cancelling:
                raise
            task.uncancel()
            raise Halted from None
        finally:
            self._requesting.discard(task)

    async def _note_unknown(self, symbol: Symbol, attempts: Attempts, detail: str) -> None:
        """Count and write that the API answered `{}`: for a symbol that has snapshots, this is as bad as a failure."""
        try:
            is_uncovered = await self._results.has_snapshots(symbol)
        except StorageError as error:
            self._halt(error)
            is_uncovered = False
        if not is_uncovered:
            self.failures.end_row()
        else:
            detail = f"{detail}, although it has snapshots"
            self._log.warning("symbol uncovered", symbol=symbol, detail=detail)
            if reason := self.uncovered.add(symbol):
                self._halt(reason)
        await self._note(symbol, Outcome.UNKNOWN, attempts, detail)

    async def _note(self, symbol: Symbol, outcome: Outcome, attempts: Attempts, detail: str) -> None:
        """Count and write how a symbol ended without an overview."""
        self._count(symbol, outcome, detail)
        try:
            at, slot = self._clock.now(), attempts.slot
            await self._results.note(SymbolResult(self.id, symbol, outcome, attempts.sent, at, detail, slot))
        except StorageError as error:
            self._halt(error)
        else:
            self._on_outcome(symbol, outcome, detail)

    def _on_written(self, symbol: Symbol, attempts: Attempts, outcome: Outcome, error: BaseException | None) -> None:
        self._room.release()
        if error is None:
            self._count(symbol, outcome, "")
            self._on_outcome(symbol, outcome, "")
        else:
            self._count_unstored(attempts, error)

    def _count(self, symbol: Symbol, outcome: Outcome, detail: str) -> None:
        self.counts[outcome] += 1
        if outcome in (Outcome.FAILED, Outcome.REJECTED):
            self._log.warning(f"symbol {outcome}", symbol=symbol, detail=detail)
            if reason := self.failures.add(symbol, detail):
                self._halt(reason)
        elif outcome is not Outcome.DEFERRED:
            self._log.debug(f"symbol {outcome}", symbol=symbol)

    def _count_unstored(self, attempts: Attempts, error: BaseException) -> None:
        """Count a symbol whose overview could not be stored, and halt the run."""
        self.counts[Outcome.FAILED if attempts.sent else Outcome.DEFERRED] += 1
        if not isinstance(error, StorageError):
            self._bug = self._bug or error
            error = StorageError(f"what was fetched could not be written: {type(error).__name__}")
        self._halt(error)
