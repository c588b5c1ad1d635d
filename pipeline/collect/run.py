"""Collecting: one run over the symbols that are due, from the agenda to a status. Free of argv and environment."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from pipeline.api.client import open_api
from pipeline.api.errors import ApiError, KeyRefused, NotInPlan, QuotaEnded
from pipeline.clock import Clock
from pipeline.collect.due import Agenda, agenda, everything
from pipeline.collect.fetch import Ask, Asked, Attempts, Fetch, Fetched, RetryPolicy, unheard
from pipeline.collect.halt import Halt, Halted
from pipeline.errors import ExitCode
from pipeline.instants import Nanoseconds
from pipeline.model.outcomes import Outcome, RunId, RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.quota.ledger import Ledger
from pipeline.quota.limits import Limit, longest_window
from pipeline.store import requests
from pipeline.store.reader import Reader
from pipeline.store.runs import RunResult, Store, SymbolResult
from pipeline.store.writer import StorageError, Writer, open_writer

FAILURES_IN_A_ROW = 10
"""So many failures and rejections, with nothing between them, and the run ends: the trouble is not the symbols'."""
UNSTORED = 8
"""Answers of each worker that may wait to become durable: enough for one turn of the writer to fill while one is on."""
_TROUBLES, _OTHER_TROUBLE = 50, "other trouble"
"""Kinds of trouble that are counted apart: what a server says may differ each time."""
DRAIN = timedelta(seconds=5)
"""How long those in flight may finish once the run is interrupted."""


REAL = Clock()


class Interrupted(Exception):
    """The run was stopped from outside."""


class TooManyFailures(Exception):
    """Nothing but failures and rejections."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where overviews come from, and within which limits they may be asked for."""

    base_url: str
    key: str
    limits: tuple[Limit, ...]
    concurrency: int
    timeout: timedelta
    wait: timedelta
    """How long a run waits for a free slot, before it takes the quota to have ended."""
    attempts: int


@dataclass(frozen=True, slots=True)
class Order:
    """What one run is to do."""

    symbols: tuple[Symbol, ...]
    looked_since: datetime | None
    """Ask the symbols not looked at since; None: ask them all, whatever their age."""
    trigger: Trigger = Trigger.MANUAL
    max_requests: int | None = None
    schedule: str | None = None
    """The schedule that it is run for, if any, and its fire time."""
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended."""

    run: RunId
    trigger: Trigger
    status: RunStatus
    symbols: int
    agenda: Agenda
    counts: Counter[Outcome]
    requests: int
    seconds: float
    busy_seconds: float
    """How long the requests took, added up: what one after another would have taken."""
    detail: str | None
    exit_code: int
    unwritten: StorageError | None = None
    """Why what came of it could not all be written, if it could not."""


class Collection:
    """A run under way: what came of how many symbols so far."""

    def __init__(
        self, run: RunId, due: list[Symbol], *, fetch: Fetch, ledger: Ledger, store: Store, halt: Halt, clock: Clock
    ) -> None:
        self.run = run
        self.due = len(due)
        self.counts: Counter[Outcome] = Counter()
        self.ledger = ledger
        self._left: Iterator[Symbol] = iter(due)
        self._fetch = fetch
        self._store = store
        self._halt = halt
        self._clock = clock
        self._room = asyncio.Semaphore(0)
        self._bug: BaseException | None = None
        self._troubles: Counter[str] = Counter()
        self._failures_in_a_row = 0
        self._asking: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._log = structlog.get_logger().bind(run=run)

    @property
    def busy_seconds(self) -> float:
        return self._fetch.busy / 1e9

    async def work(self, workers: int) -> None:
        """Ask symbol after symbol, with a fixed number of workers, until all are asked or the run is halted.

        A worker does not wait until its answer is durable, but no more than a few answers of each may be waiting.
        """
        self._room = asyncio.Semaphore(workers * UNSTORED)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, self.due)):
                group.create_task(self._work())
        for _ in range(workers * UNSTORED):
            await self._room.acquire()
        if self._bug is not None:
            raise self._bug

    def rest(self) -> Iterator[Symbol]:
        """Yield the symbols that no worker came to."""
        return self._left

    async def answers(self) -> None:
        """Return once the store has answered: it may be waiting for a disk, or be dead."""
        await self._store.ping()

    def drain(self) -> None:
        """Break off the requests still in flight."""
        self._is_draining = True
        for task in self._asking:
            task.cancel()

    async def _work(self) -> None:
        for symbol in self._left:
            await self._observe(symbol)
            if self._halt.reasons:
                return

    async def _observe(self, symbol: Symbol) -> None:
        """Observe one symbol, and hand over what is to be kept."""
        attempts = Attempts()
        try:
            fetched = await self._asked(symbol, attempts)
        except StorageError as error:
            self._unstored(attempts, error)
        except Halted:
            await self._note(symbol, Outcome.DEFERRED, attempts, f"the run ended first: {self._halt.reasons[0]}")
        except ApiError as error:
            await self._note(symbol, error.outcome, attempts, str(error))
        else:
            self._failures_in_a_row = 0
            await self._room.acquire()
            self._store.hand_over(
                self.run,
                fetched.overview,
                at=fetched.at,
                attempts=attempts.sent,
                on_done=partial(self._kept, symbol, attempts),
            )

    def _kept(self, symbol: Symbol, attempts: Attempts, outcome: Outcome, error: BaseException | None) -> None:
        self._room.release()
        if error is None:
            self._count(symbol, outcome, None)
        else:
            self._unstored(attempts, error)

    def _unstored(self, attempts: Attempts, error: BaseException) -> None:
        if isinstance(error, StorageError):
            self._halt(error)
        else:
            self._bug = self._bug or error
            self._halt(StorageError(f"what was fetched could not be written: {type(error).__name__}"))
        self.counts[Outcome.FAILED if attempts.sent else Outcome.DEFERRED] += 1

    async def _note(self, symbol: Symbol, outcome: Outcome, attempts: Attempts, detail: str) -> None:
        self._count(symbol, outcome, detail)
        try:
            await self._store.note(SymbolResult(self.run, symbol, outcome, attempts.sent, self._clock.now(), detail))
        except StorageError as error:
            self._halt(error)

    async def _asked(self, symbol: Symbol, attempts: Attempts) -> Fetched:
        task = asyncio.current_task()
        assert task is not None
        self._asking.add(task)
        try:
            return await self._fetch(symbol, attempts)
        except asyncio.CancelledError:
            if not self._is_draining:
                raise
            task.uncancel()
            raise Halted from None
        finally:
            self._asking.discard(task)

    def common_trouble(self) -> str | None:
        """Return what was most often the trouble with symbols that failed or were rejected, None if none were."""
        if not self._troubles:
            return None
        ((detail, count),) = self._troubles.most_common(1)
        return detail if count == self._troubles.total() else f"{detail} ({count:,} of {self._troubles.total():,})"

    def _note_trouble(self, detail: str | None) -> None:
        text = detail or ""
        self._troubles[text if text in self._troubles or len(self._troubles) < _TROUBLES else _OTHER_TROUBLE] += 1

    def _count(self, symbol: Symbol, outcome: Outcome, detail: str | None) -> None:
        self.counts[outcome] += 1
        if outcome in (Outcome.FAILED, Outcome.REJECTED):
            self._log.warning(f"no overview: {outcome}", symbol=symbol, detail=detail)
            self._note_trouble(detail)
            self._failures_in_a_row += 1
            if self._failures_in_a_row == FAILURES_IN_A_ROW:
                self._halt(TooManyFailures(f"{FAILURES_IN_A_ROW} failures in a row; the last: {symbol}: {detail}"))
        elif outcome is Outcome.UNKNOWN:
            self._log.debug(outcome.value, symbol=symbol)
            self._failures_in_a_row = 0
        elif outcome is not Outcome.DEFERRED:
            self._log.debug(outcome.value, symbol=symbol)


async def collect(
    database: Path,
    source: Source,
    order: Order,
    *,
    halt: Halt,
    started: Callable[[Collection], None] = lambda _collection: None,
    asked: Asked = unheard,
    clock: Clock = REAL,
) -> Summary:
    """Do one run, and return how it ended. The file is migrated, and the caller holds its lock.

    `started` is given the run once it is under way, to watch it; `asked` hears of each request. Raise DatabaseError if
    the file cannot be opened or written at all; what else can go wrong is in the summary.
    """
    began = clock.monotonic()
    with Reader.open(database) as record:
        todo = _todo(record, order, clock.now())
    async with _equipped(database, source, order, clock) as (writer, ledger, ask):
        store = Store(writer)
        run = await store.begin(
            order.trigger,
            at=clock.now(),
            symbols=len(order.symbols),
            due=len(todo.due),
            schedule=order.schedule,
            scheduled_for=order.scheduled_for,
        )
        fetch = Fetch(
            ask,
            ledger,
            run=run,
            policy=RetryPolicy(source.attempts),
            timeout=source.timeout,
            halt=halt,
            clock=clock,
            asked=asked,
        )
        collection = Collection(run, todo.due, fetch=fetch, ledger=ledger, store=store, halt=halt, clock=clock)
        started(collection)
        log = structlog.get_logger().bind(run=run)
        log.info("run began", symbols=len(order.symbols), due=len(todo.due))
        await collection.work(source.concurrency)
        summary = await _finished(collection, order, todo, store, halt, began=began, clock=clock)
    counts = {str(outcome): summary.counts[outcome] for outcome in Outcome if summary.counts[outcome]}
    log.info("run ended", status=summary.status, **counts, requests=summary.requests, seconds=round(summary.seconds, 3))
    return summary


def _todo(record: Reader, order: Order, now: datetime) -> Agenda:
    """Return what there is to do. What a run for the same fire time looked at is done, be the clock set back since."""
    if order.looked_since is None:
        return everything(order.symbols, record.freshness())
    todo = agenda(order.symbols, record.freshness(), looked_since=order.looked_since, now=now)
    if order.schedule is None or order.scheduled_for is None:
        return todo
    done = record.observed_for(order.schedule, order.scheduled_for)
    due = [symbol for symbol in todo.due if symbol not in done]
    return Agenda(due, todo.fresh + len(todo.due) - len(due), todo.waiting)


@asynccontextmanager
async def _equipped(
    database: Path, source: Source, order: Order, clock: Clock
) -> AsyncIterator[tuple[Writer, Ledger, Ask]]:
    """Open what a run needs: the writer, the ledger as the file has it, and the API."""
    limits = source.limits
    with Reader.open(database) as record:
        longest = max((limit.period for limit in limits), default=timedelta())
        spent, block, last_id = record.spent_slots(clock.now() - longest), record.block(), record.last_request_id()
    log = structlog.get_logger()
    async with (
        open_api(source.base_url, source.key, concurrency=source.concurrency, reuse=not limits) as api,
        open_writer(database, sleep=clock.sleep, on_retry=log.warning) as writer,
    ):
        await requests.prune_requests(writer, longest=longest_window(limits), now=clock.now())
        yield (
            writer,
            Ledger(
                writer,
                limits,
                spent=spent,
                block=block,
                last_id=last_id,
                timeout=source.timeout,
                max_wait=source.wait,
                max_requests=order.max_requests,
                clock=clock,
            ),
            api.overview,
        )


async def _finished(
    collection: Collection,
    order: Order,
    todo: Agenda,
    store: Store,
    halt: Halt,
    *,
    began: Nanoseconds,
    clock: Clock,
) -> Summary:
    """Write what was not asked, and how the run ended; and return it, written or not."""
    seconds = (clock.monotonic() - began) / 1e9
    rest = tuple(collection.rest())
    reason = decisive(halt.reasons)
    counts = collection.counts
    counts[Outcome.DEFERRED] += len(rest)
    status, exit_code = ending(counts, reason)
    detail = collection.common_trouble() if reason is None else str(reason)
    tally = RunResult(status, counts, collection.ledger.sent, seconds, detail)
    unwritten = next((one for one in halt.reasons if isinstance(one, StorageError)), None)
    try:
        if rest:
            await store.defer(collection.run, rest, at=clock.now(), detail=detail or "")
        await store.finish(collection.run, tally, at=clock.now())
    except StorageError as error:
        if not isinstance(reason, Interrupted):
            status, exit_code = RunStatus.FAILED, ExitCode.FAILED
        detail, unwritten = str(error), error
    return Summary(
        run=collection.run,
        trigger=order.trigger,
        status=status,
        symbols=len(order.symbols),
        agenda=todo,
        counts=counts,
        requests=collection.ledger.sent,
        seconds=seconds,
        busy_seconds=collection.busy_seconds,
        detail=detail,
        exit_code=exit_code,
        unwritten=unwritten,
    )


_ENDINGS: tuple[tuple[type[Exception], RunStatus, int], ...] = (
    (TooManyFailures, RunStatus.FAILED, ExitCode.FAILED),
    (QuotaEnded, RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA),
    (KeyRefused, RunStatus.FAILED, ExitCode.REFUSED),
    (NotInPlan, RunStatus.FAILED, ExitCode.REFUSED),
    (StorageError, RunStatus.FAILED, ExitCode.FAILED),
    (Interrupted, RunStatus.INTERRUPTED, ExitCode.INTERRUPTED),
)
"""What can end a run before its symbols are all asked. Where several apply, the lowest decides."""


def decisive(reasons: list[Exception]) -> Exception | None:
    """Return the reason that decides how the run ended, None if it was not cut short."""
    kinds = [kind for kind, _, _ in _ENDINGS]
    return max(reasons, key=lambda reason: kinds.index(type(reason)), default=None)


def ending(counts: Counter[Outcome], reason: Exception | None) -> tuple[RunStatus, int]:
    """Return the status and the exit code of a run with these outcomes, cut short for this reason if any."""
    for kind, status, exit_code in _ENDINGS:
        if type(reason) is kind:
            return status, exit_code
    troubled = counts[Outcome.FAILED] + counts[Outcome.REJECTED]
    if not troubled:
        return RunStatus.COMPLETE, ExitCode.DONE
    if counts[Outcome.STORED] + counts[Outcome.UNCHANGED] + counts[Outcome.UNKNOWN]:
        return RunStatus.PARTIAL, ExitCode.PARTIAL
    return RunStatus.FAILED, ExitCode.FAILED
