"""Importing: recordings made elsewhere, put among what runs have seen. Chunk by chunk, each one transaction."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.api.errors import ApiError, UnknownSymbol
from pipeline.clock import Clock
from pipeline.collect.halt import Halt, Halted, Interrupted
from pipeline.errors import ExitCode
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.runs import RunResult, Store
from pipeline.store.snapshots import Observation, observation, repeated, text_length
from pipeline.store.writer import StorageError, open_writer
from pipeline.transfer.archives import Bad, Place, Recorded, Skipped

CHUNK = 3_000
"""Lines in one transaction: a commit's share of each is small, and so is what lies in memory."""

_HEAVIEST = 32_000_000
"""Characters in one transaction: CHUNK lines of the usual size have a third of it."""


@dataclass(slots=True)
class Import:
    """What an import did. Refusals and the like are counted by kind, and are nothing bad: that is how they came."""

    run: RunId
    status: RunStatus = RunStatus.RUNNING
    exit_code: int = ExitCode.DONE
    lines: int = 0
    bad: int = 0
    conflicts: int = 0
    """Documents other than the one that is kept for their symbol and instant."""
    counts: Counter[Outcome] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    symbols: set[Symbol] = field(default_factory=set)
    seconds: float = 0.0
    detail: str | None = None


class Refused(Bad):
    """An answer that was recorded, and is no overview: nothing is wrong with its line."""


@dataclass(frozen=True, slots=True)
class _Seen:
    place: Place
    observation: Observation


async def import_recordings(
    database: Path,
    lines: Iterable[Recorded | Bad],
    *,
    strict: bool,
    halt: Halt,
    named: Callable[[Bad], None],
    clock: Clock,
    troubled: Callable[[str], None],
) -> Import:
    """Put every look of the lines into a migrated file whose lock the caller holds; return what was done.

    `named` hears of each line that is bad, refused, or in conflict with what is kept. Bad lines do not stop the rest,
    unless `strict`. An interrupt ends it between two transactions. Raise DatabaseError if the file cannot be opened.
    """
    began = clock.monotonic()
    async with open_writer(database, sleep=clock.sleep, on_retry=troubled) as writer:
        store = Store(writer)
        done = Import(await store.begin(Trigger.IMPORT, at=clock.now(), symbols=0, due=0))
        try:
            await _keep_all(store, iter(lines), done, strict=strict, halt=halt, named=named)
        except* StorageError as errors:
            done.status, done.exit_code, done.detail = RunStatus.FAILED, ExitCode.FAILED, str(errors.exceptions[0])
        if done.status is RunStatus.RUNNING:
            _end(done, halt)
        done.seconds = (clock.monotonic() - began) / 1e9
        await _finish(store, done, at=clock.now())
    return done


def _end(done: Import, halt: Halt) -> None:
    if any(isinstance(reason, Interrupted) for reason in halt.reasons):
        done.status, done.exit_code = RunStatus.INTERRUPTED, ExitCode.INTERRUPTED
    elif done.detail is not None:
        done.status, done.exit_code = RunStatus.FAILED, ExitCode.FAILED
    elif done.bad:
        done.status, done.exit_code = RunStatus.PARTIAL, ExitCode.PARTIAL
    else:
        done.status = RunStatus.COMPLETE


async def _finish(store: Store, done: Import, *, at: datetime) -> None:
    bad = f"{done.bad:,} bad lines" if done.bad else None
    tally = RunResult(done.status, done.counts, 0, done.seconds, done.detail or bad, symbols=len(done.symbols))
    try:
        await store.finish(done.run, tally, at=at)
    except StorageError as error:
        done.status, done.exit_code, done.detail = RunStatus.FAILED, ExitCode.FAILED, str(error)


async def _keep_all(
    store: Store,
    lines: Iterator[Recorded | Bad],
    done: Import,
    *,
    strict: bool,
    halt: Halt,
    named: Callable[[Bad], None],
) -> None:
    """Keep chunk after chunk: one is written while the next is read, in a thread, which may wait for standard input."""
    async with asyncio.TaskGroup() as group:
        writing: asyncio.Task[None] | None = None
        while not halt.reasons and done.detail is None:
            try:
                async with halt.interrupts():
                    chunk = await asyncio.to_thread(_read, lines, strict=strict)
            except Halted:
                return
            if writing is not None:
                await writing
            if not chunk.lines and not chunk.bad:
                return
            chunk.count(done, named)
            writing = group.create_task(_keep(store, chunk.seen, done, named))


@dataclass(slots=True)
class _Chunk:
    """The next lines, read and taken apart."""

    lines: int = 0
    seen: list[_Seen] = field(default_factory=list)
    refused: list[tuple[Place, ApiError]] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    weight: int = 0
    is_last: bool = False
    """Whether the last of the bad lines is where reading is to stop."""

    def count(self, done: Import, named: Callable[[Bad], None]) -> None:
        """Add what was read to what was done, and name what is bad."""
        done.lines += self.lines
        for place, answer in self.refused:
            done.refused[answer.kind] += 1
            done.counts[answer.outcome] += 1
            named(Refused(place, f"no overview: {answer.kind}: {answer}"))
        for bad in self.bad:
            named(bad)
            done.bad += not isinstance(bad, Skipped)
        if self.is_last:
            done.detail = f"{self.bad[-1].place}: {self.bad[-1].why}"


def _read(lines: Iterator[Recorded | Bad], *, strict: bool) -> _Chunk:
    """Return the next lines: as many as make a transaction, or up to the first bad one where that is the end."""
    chunk = _Chunk()
    for line in lines:
        if isinstance(line, Bad):
            chunk.bad.append(line)
            chunk.lines += not isinstance(line, Skipped)
            chunk.is_last = strict and not isinstance(line, Skipped)
        else:
            chunk.lines += 1
            _take(line, chunk)
        if chunk.is_last or chunk.lines >= CHUNK or len(chunk.seen) >= CHUNK or chunk.weight >= _HEAVIEST:
            break
    return chunk


def _take(line: Recorded, chunk: _Chunk) -> None:
    """Add the looks that a line tells of; or the answer that was none."""
    answer = line.answer
    if isinstance(answer, ApiError) and not isinstance(answer, UnknownSymbol):
        chunk.refused.append((line.place, answer))
        return
    overview = answer if isinstance(answer, Overview) else None
    first = observation(line.symbol, line.observed_at, overview)
    chunk.seen.append(_Seen(line.place, first))
    chunk.seen += [_Seen(line.place, repeated(first, at)) for at in line.looks]
    chunk.weight += text_length(first)


async def _keep(store: Store, seen: list[_Seen], done: Import, named: Callable[[Bad], None]) -> None:
    outcomes = await store.add([one.observation for one in seen])
    for one, outcome in zip(seen, outcomes, strict=True):
        done.symbols.add(one.observation.symbol)
        done.counts[outcome] += 1
        if outcome is Outcome.REJECTED:
            done.conflicts += 1
            named(_conflict(one))


def _conflict(one: _Seen) -> Bad:
    found = one.observation
    return Bad(one.place, f"conflicts with the document of {found.symbol} stored for {found.at}, which stays")
