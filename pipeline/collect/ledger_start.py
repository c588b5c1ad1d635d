"""Ledger start: what the ledger's time is as a process begins, by the mark, the uptime, the wall clock and the API.

The rules are in `quota.ledger_time`. Where the wall clock is suspect, one request asks the API's host for its time: it
has no key and is not counted. If its answer has no `Date`, the host of `source.time_url` is asked, if there is one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from pipeline import instants
from pipeline.api.probe import probe
from pipeline.api.reachability import Answer, Reason
from pipeline.api.server_time import MOST_OFF, ServerTime
from pipeline.clock import Clock
from pipeline.collect.order import Source
from pipeline.model.slots import LedgerMark
from pipeline.quota import ledger_time
from pipeline.quota.estimate import KeyQuota, finish_at
from pipeline.quota.ledger_clock import LedgerClock
from pipeline.quota.ledger_time import Standing, UntrustedClock
from pipeline.store import requests
from pipeline.store.slot_dates import Correction, correct
from pipeline.store.writer import Writer

_LONGEST_WAIT = timedelta(seconds=10)
"""For the answer of the API's host."""


async def ledger_clock(
    mark: LedgerMark | None, newest: datetime | None, heard: datetime | None, source: Source, clock: Clock
) -> LedgerClock:
    """Return the ledger's clock of a process that begins, by its mark, its newest slot, and what was last `heard`.

    That is the time of the API's server when it contradicted a clock that was behind. Raise UntrustedClock if the wall
    clock cannot be right.
    """
    standing = ledger_time.trusted(mark, wall=clock.now(), uptime=clock.uptime(), newest=newest)
    if standing is not None or mark is None:
        confirmed_at = None if mark is None else mark.confirmed_at
        return LedgerClock(clock, standing or Standing(clock.now(), clock.now()), confirmed_at)
    within = min(source.timeout, _LONGEST_WAIT)
    answer = await probe(source.base_url, proxy=source.proxy, within=within, now=clock.now)
    if source.time_url is not None and isinstance(answer, Answer) and answer.date is None:
        answer = await probe(source.time_url, proxy=source.proxy, within=within, now=clock.now)
    wall, uptime = clock.now(), clock.uptime()
    if isinstance(answer, Answer) and answer.date is not None:
        server = ServerTime.of(answer.date, took=answer.took)
        return LedgerClock(clock, ledger_time.confirmed(mark, server, wall=wall, uptime=uptime), mark.confirmed_at)
    unreached = answer.problem if isinstance(answer, Reason) else None
    standing = replace(ledger_time.unconfirmed(mark, wall=wall, uptime=uptime, heard=heard), unreached=unreached)
    _log_unconfirmed(standing, wall=wall, known=ledger_time.known_now(mark, uptime))
    return LedgerClock(clock, standing, mark.confirmed_at)


def _log_unconfirmed(standing: Standing, *, wall: datetime, known: datetime | None) -> None:
    """Log it: as an error, which --quiet shows, too, if answers may be dated wrongly by more than a clock may be off.

    `known`: the time by the uptime; None if the machine was started again.
    """
    clock = f"{instants.for_people(wall)} UTC"
    log = structlog.get_logger()
    if known is not None and abs(wall - known) > MOST_OFF:
        log.error(
            "the clock is not confirmed, and differs from the uptime's time: answers are dated by the clock; check it",
            clock=clock,
            uptime=f"{instants.for_people(known)} UTC",
        )
        return
    log.warning(
        "the clock is not confirmed: until it is, slots are as old as is known for certain",
        clock=clock,
        ledger=f"{instants.for_people(standing.now)} UTC",
    )


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


def check_reached(
    standing: Standing, by_ledger: Sequence[KeyQuota], by_clock: Sequence[KeyQuota], *, wait: timedelta
) -> None:
    """Raise UntrustedClock if only the API's host, which was not reached, can say whether a slot is free.

    Otherwise a run would end as if the quota had, until a day later, though the host may answer in a minute.
    """
    if not _has_slot(by_ledger, standing.now, wait) and _has_slot(by_clock, standing.dates_from, wait):
        raise UntrustedClock(
            "this machine was started again, or its clock set, and the host that would confirm its clock is not"
            f" reached: {standing.unreached}",
            remedy="nothing is requested until it answers (pipeline doctor --online says more)",
        )


def _has_slot(quotas: Sequence[KeyQuota], now: datetime, wait: timedelta) -> bool:
    return (finish_at(quotas, requests=1, now=now) or now) - now <= wait
