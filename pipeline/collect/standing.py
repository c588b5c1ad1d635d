"""Standing: what the ledger's time is as a process begins, by the file's mark, the uptime, the wall clock and the API.

The rules are in `quota.ledger_time`. Where the wall clock is suspect, one request asks the API's host for its time: it
has no key and is not counted.
"""

from datetime import datetime, timedelta

import structlog

from pipeline import instants
from pipeline.api.probe import probe
from pipeline.api.reachability import Answer
from pipeline.api.server_time import ServerTime
from pipeline.clock import Clock
from pipeline.collect.order import Source
from pipeline.model.slots import LedgerMark
from pipeline.quota import ledger_time
from pipeline.quota.ledger_clock import LedgerClock
from pipeline.quota.ledger_time import Standing
from pipeline.store import requests
from pipeline.store.ledger_clock import Correction, correct
from pipeline.store.writer import Writer

_LONGEST_WAIT = timedelta(seconds=10)
"""For the answer of the API's host."""


async def ledger_clock(mark: LedgerMark | None, newest: datetime | None, source: Source, clock: Clock) -> LedgerClock:
    """Return the ledger's clock of a process that begins, by its mark and its newest slot.

    Raise UntrustedClock if the wall clock cannot be right.
    """
    standing = ledger_time.trusted(mark, wall=clock.now(), uptime=clock.uptime(), newest=newest)
    if standing is not None or mark is None:
        return LedgerClock(clock, standing or Standing(clock.now(), clock.now()))
    within = min(source.timeout, _LONGEST_WAIT)
    answer = await probe(source.base_url, proxy=source.proxy, within=within, now=clock.now)
    wall, uptime = clock.now(), clock.uptime()
    if isinstance(answer, Answer) and answer.date is not None:
        server = ServerTime.of(answer.date, took=answer.took)
        return LedgerClock(clock, ledger_time.confirmed(mark, server, wall=wall, uptime=uptime))
    standing = ledger_time.unconfirmed(mark, wall=wall, uptime=uptime)
    structlog.get_logger().warning(
        "the clock is not confirmed: until it is, slots are as old as is known for certain",
        clock=f"{instants.for_people(wall)} UTC",
        ledger=f"{instants.for_people(standing.now)} UTC",
    )
    return LedgerClock(clock, standing)


async def correct_ledger(writer: Writer, clock: LedgerClock, *, longest: timedelta) -> None:
    """Correct what a wrong clock has dated, if that may be, and delete slots that count no more. Raise StorageError."""
    standing = clock.standing
    latest, by, since = None, timedelta(), None
    if standing.shift is not None:
        by, since = standing.shift.by, standing.shift.since
    if standing.is_confirmed:
        latest = standing.now - by
    await writer.write(correct, Correction(clock.mark(), latest, by, since))
    await requests.prune_requests(writer, longest=longest, now=standing.now)
