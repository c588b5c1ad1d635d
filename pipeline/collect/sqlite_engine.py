"""The default storage engine of a run: slots and results in the SQLite file, overviews from the API.

`run` opens it; the other modules of this room know the ports, and the errors that the ledger and the writer raise.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from pipeline import instants
from pipeline.api.client import open_api
from pipeline.clock import Clock
from pipeline.collect.due import Selection, select_all, select_due
from pipeline.collect.ledger_start import check_reached, correct_ledger, ledger_clock
from pipeline.collect.order import Order, Source
from pipeline.collect.ports import Engine
from pipeline.errors import Trouble
from pipeline.model.outcomes import RunId, RunResult
from pipeline.quota.account import Account
from pipeline.quota.ledger import Ledger
from pipeline.quota.limits import longest_window
from pipeline.quota.stored import quotas_of
from pipeline.store import requests
from pipeline.store.database import StorageError
from pipeline.store.in_flight import count_lost
from pipeline.store.older_copy import block_if_behind, note_begun, note_ended
from pipeline.store.reader import Reader
from pipeline.store.runs import Store
from pipeline.store.slot_dates import set_mark
from pipeline.store.writer import Writer, open_writer


class _Results(Store):
    """The file, and the marker beside it, which says when all that a run has requested is in the file."""

    def __init__(self, writer: Writer, database: Path) -> None:
        super().__init__(writer)
        self._database = database

    async def finish(self, run: RunId, result: RunResult, *, at: datetime) -> None:
        await super().finish(run, result, at=at)
        await asyncio.to_thread(note_ended, self._database, run)


async def _note_begun(database: Path, run: RunId) -> None:
    try:
        await asyncio.to_thread(note_begun, database, run)
    except Trouble as trouble:
        raise StorageError(trouble.problem, remedy=trouble.remedy) from None


@asynccontextmanager
async def open_engine(
    database: Path, source: Source, *, max_requests: int | None, clock: Clock
) -> AsyncIterator[Engine]:
    """Open the file's writer, with the ledger as the file has it, and the API.

    Raise DatabaseError, StorageError, and UntrustedClock where nothing may be requested by this clock.
    """
    log = structlog.get_logger()
    async with open_writer(database, sleep=clock.sleep, on_retry=log.warning) as writer:
        with Reader.open(database) as reader:
            mark, newest, heard = reader.ledger_mark(), reader.newest_slot(), reader.last_contradicted()
        own = await ledger_clock(mark, newest, heard, source, clock)
        await asyncio.gather(  # in one commit: each costs as much as all else here where the disk is slow
            correct_ledger(writer, own, longest=longest_window(source.limits)),
            writer.write(count_lost, instants.to_text(own.now() + instants.MILLISECOND)),
            *(writer.write(requests.name_keys, requests.KeyName(key.id, key.name)) for key in source.keys),
        )
        block_if_behind(database, longest_window=longest_window(source.limits), now=own.now())
        with Reader.open(database) as reader:
            quotas = quotas_of(reader, source.keys, now=own.standing.now)
            if own.standing.unreached is not None:
                by_clock = quotas_of(reader, source.keys, now=own.standing.dates_from)
                check_reached(own.standing, quotas, by_clock, wait=source.wait)
        states = [one.state for one in quotas]
        ledger = Ledger(
            writer,
            [
                Account(key.id, key.plan, state, wall=own.standing.now, monotonic=own.began)
                for key, state in zip(source.keys, states, strict=True)
            ],
            last_request_id=max(state.last_request_id for state in states),
            timeout=source.timeout,
            max_wait=source.wait,
            max_requests=max_requests,
            on_first=partial(_note_begun, database),
            clock=replace(clock, now=own.now),
        )
        async with open_api(
            source.base_url,
            {key.id: key.secret for key in source.keys},
            concurrency=source.concurrency,
            reuse=not source.limits,
            proxy=source.proxy,
            clock=clock,
            hear=own.hear,
        ) as api:
            yield Engine(partial(select_symbols, database), api.overview, ledger, _Results(writer, database))
        if ledger.sent:
            writer.post(set_mark, own.mark())


async def select_symbols(database: Path, order: Order, *, now: datetime) -> Selection:
    """Return the symbols that are due, as the file has it. Raise DatabaseError if it cannot be opened.

    A symbol observed by an earlier run for the same fire time is not due, even if the clock was set back since.
    """
    with Reader.open(database) as reader:
        if order.observed_since is None:
            return select_all(order.symbols, reader.freshness(order.symbols))
        selection = select_due(
            order.symbols,
            reader.freshness(order.symbols),
            observed_since=order.observed_since,
            now=now,
            fire_time=order.scheduled_for,
        )
        if order.schedule is None or order.scheduled_for is None:
            return selection
        return selection.without(reader.observed_for(order.schedule, order.scheduled_for))
