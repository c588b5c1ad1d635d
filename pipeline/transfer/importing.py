"""Importing: the entries of archives stored among what runs observed, chunk by chunk, a transaction each."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.api.errors import ApiError, UnknownSymbol
from pipeline.clock import Clock
from pipeline.collect.halt import Halt, Halted, Interrupted
from pipeline.errors import ExitCode, Trouble
from pipeline.model.anomalies import quarter_is_over
from pipeline.model.document import Overview
from pipeline.model.fields import REPORTED_FIELDS
from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.database import StorageError
from pipeline.store.runs import Store
from pipeline.store.snapshots import Covered, Observation, observation, repeated, text_length
from pipeline.store.writer import open_writer
from pipeline.text import count
from pipeline.transfer.archives import Archive
from pipeline.transfer.entries import Entry, Place, Problem, RecordedResponse, Remark, Skipped
from pipeline.transfer.look_ahead import LookAhead, glances
from pipeline.transfer.streams import OnRead

CHUNK = 3_000
"""Entries of a transaction: few enough to hold in memory, and enough to share the cost of a commit."""
_LARGEST_CHUNK = 32_000_000
"""Characters of a transaction: three times as many as CHUNK responses of the usual size have."""

_QUARTER = [field.column for field in REPORTED_FIELDS].index("latest_quarter")

OnProblem = Callable[[Problem], None]


@dataclass(slots=True)
class ImportResult:
    """What an import did.

    `counts` has the outcome of each observation and of each refusal: an error message of the API in the place of an
    overview. Refusals are counted by kind too; they were recorded so, and are not bad.
    """

    run: RunId
    status: RunStatus = RunStatus.RUNNING
    exit_code: int = ExitCode.DONE
    lines: int = 0
    bad: int = 0
    skipped: int = 0
    """Files that do not belong to the archives."""
    conflicts: int = 0
    """Documents that differ from the one stored for their symbol and instant: rejected."""
    ahead: int = 0
    """Documents received before their latest quarter was over."""
    counts: Counter[Outcome] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    symbols: set[Symbol] = field(default_factory=set)
    seconds: float = 0.0
    detail: str | None = None

    def fail(self, detail: str) -> None:
        """Set the status and the exit code of a failure."""
        self.status, self.exit_code, self.detail = RunStatus.FAILED, ExitCode.FAILED, detail

    def end(self, halt: Halt) -> None:
        """Set the status and the exit code, once all entries are stored or reading stopped."""
        if any(isinstance(reason, Interrupted) for reason in halt.reasons):
            self.status, self.exit_code = RunStatus.INTERRUPTED, ExitCode.INTERRUPTED
        elif self.detail is not None:
            self.status, self.exit_code = RunStatus.FAILED, ExitCode.FAILED
        elif self.bad:
            self.status, self.exit_code = RunStatus.PARTIAL, ExitCode.PARTIAL
        else:
            self.status = RunStatus.COMPLETE


class Refused(Problem):
    """A recorded response that is not an overview: nothing is wrong with its entry."""


class Conflict(Problem):
    """A document that differs from the one stored for its symbol and instant."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """An observation, and where it was read."""

    place: Place
    observation: Observation


async def import_archives(
    database: Path,
    archives: Archive,
    *,
    allow_back_dated: bool,
    strict: bool,
    halt: Halt,
    on_problem: OnProblem,
    clock: Clock,
    on_retry: Callable[[str], None],
    on_check: OnRead,
    on_read: OnRead,
) -> ImportResult:
    """Store every observation of archives in a migrated database whose lock the caller holds; return what was done.

    Unless `allow_back_dated`, they are read twice (`on_check`, then `on_read`), and nothing is stored of archives that
    look ahead. `on_problem` is called for each entry that is bad, refused, or in conflict with what is stored. Bad
    entries do not stop the import, unless `strict`; an interrupt does between two transactions. `on_retry` is called
    before a write is retried. Raise DatabaseError if the database cannot be opened.
    """
    began = clock.monotonic()
    async with open_writer(database, sleep=clock.sleep, on_retry=on_retry) as writer:
        store = Store(writer)
        result = ImportResult(await store.begin(Trigger.IMPORT, at=clock.now(), symbols=0, due=0))
        try:
            if allow_back_dated or await _is_plausible(archives, result, halt, on_check):
                entries = archives.entries(on_read)
                await _store_all(store, entries, result, strict=strict, halt=halt, on_problem=on_problem)
        except* (StorageError, Trouble) as errors:
            result.fail(str(errors.exceptions[0]))
        if result.status is RunStatus.RUNNING:
            result.end(halt)
        result.seconds = (clock.monotonic() - began) / 1e9
        await _finish(store, result, at=clock.now())
    return result


async def _is_plausible(archives: Archive, result: ImportResult, halt: Halt, on_check: OnRead) -> bool:
    """Return whether the archives may be stored; if they look ahead, the result says so."""
    found = LookAhead()
    every = glances(archives.parts_to_check(on_check), on_check)
    try:
        async with halt.interrupts():
            while await asyncio.to_thread(found.count, every, CHUNK):
                halt.check()
    except Halted:
        return False
    if found.is_refused:
        result.ahead = found.ahead
        result.fail(str(found))
    return not found.is_refused


async def _finish(store: Store, result: ImportResult, *, at: datetime) -> None:
    detail = result.detail or (count(result.bad, "bad entry", "bad entries") if result.bad else None)
    of_run = RunResult(result.status, result.counts, 0, result.seconds, detail, symbols=len(result.symbols))
    try:
        await store.finish(result.run, of_run, at=at)
    except StorageError as error:
        result.fail(str(error))


async def _store_all(
    store: Store,
    entries: Iterator[Entry],
    result: ImportResult,
    *,
    strict: bool,
    halt: Halt,
    on_problem: OnProblem,
) -> None:
    """Store chunk after chunk: one is written while a thread, which may wait for standard input, reads the next."""
    async with asyncio.TaskGroup() as group:
        writing: asyncio.Task[None] | None = None
        while not halt.reasons and result.detail is None:
            try:
                async with halt.interrupts():
                    chunk = await asyncio.to_thread(_next_chunk, entries, strict=strict)
            except Halted:
                return
            if writing is not None:
                await writing
            if not chunk.lines and not chunk.problems:
                return
            chunk.count(result, on_problem)
            writing = group.create_task(_store_chunk(store, chunk.placed, result, on_problem))


@dataclass(slots=True)
class _Chunk:
    """The next entries, by what becomes of them."""

    lines: int = 0
    skipped: int = 0
    ahead: int = 0
    placed: list[_Placed] = field(default_factory=list)
    refused: list[tuple[Place, ApiError]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    characters: int = 0
    is_last: bool = False
    """Whether the last of the problems ends the import."""

    @property
    def is_full(self) -> bool:
        return self.lines >= CHUNK or len(self.placed) >= CHUNK or self.characters >= _LARGEST_CHUNK

    def add_problem(self, problem: Problem, *, strict: bool) -> None:
        """Add a problem. Remarks, such as one on skipped files, are not lines, and do not end a strict import."""
        self.problems.append(problem)
        if isinstance(problem, Skipped):
            self.skipped += problem.files
        if not isinstance(problem, Remark):
            self.lines += 1
            self.is_last = strict

    def add_response(self, entry: RecordedResponse) -> None:
        """Add the observations of a response, or its refusal."""
        self.lines += 1
        response = entry.response
        if isinstance(response, ApiError) and not isinstance(response, UnknownSymbol):
            self.refused.append((entry.place, response))
            return
        overview = response if isinstance(response, Overview) else None
        first = observation(entry.symbol, entry.observed_at, overview)
        self.placed.append(_Placed(entry.place, first))
        self.placed += [_Placed(entry.place, repeated(first, at)) for at in entry.observed_again_at]
        self.characters += text_length(first)
        self.ahead += isinstance(first, Covered) and not quarter_is_over(first.parts.reported[_QUARTER], first.at)

    def count(self, result: ImportResult, on_problem: OnProblem) -> None:
        """Add the chunk to the result, and report its problems."""
        result.lines += self.lines
        result.skipped += self.skipped
        result.ahead += self.ahead
        for place, refusal in self.refused:
            result.refused[refusal.kind] += 1
            result.counts[refusal.outcome] += 1
            on_problem(Refused(place, f"{refusal.outcome}: {refusal.kind}: {refusal}"))
        for problem in self.problems:
            on_problem(problem)
            result.bad += not isinstance(problem, Remark)
        if self.is_last:
            result.detail = f"{self.problems[-1].place}: {self.problems[-1].reason}"


def _next_chunk(entries: Iterator[Entry], *, strict: bool) -> _Chunk:
    """Return the next entries: as many as make a transaction, or up to the problem that ends the import."""
    chunk = _Chunk()
    for entry in entries:
        if isinstance(entry, Problem):
            chunk.add_problem(entry, strict=strict)
        else:
            chunk.add_response(entry)
        if chunk.is_last or chunk.is_full:
            break
    return chunk


async def _store_chunk(store: Store, placed: list[_Placed], result: ImportResult, on_problem: OnProblem) -> None:
    outcomes = await store.add([one.observation for one in placed])
    for one, outcome in zip(placed, outcomes, strict=True):
        result.symbols.add(one.observation.symbol)
        result.counts[outcome] += 1
        if outcome is Outcome.REJECTED:
            result.conflicts += 1
            on_problem(_conflict(one))


def _conflict(one: _Placed) -> Problem:
    found = one.observation
    return Conflict(one.place, f"in conflict with the document of {found.symbol} stored for {found.at}, which stays")
