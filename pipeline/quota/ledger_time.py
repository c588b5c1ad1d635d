"""The ledger's time: what a new process takes it to be, so that no clock, however it was set, frees a slot early.

The ledger keeps a mark: the newest instant that its time has reached, with the uptime at that moment. Within one boot
the uptime tells how much time has passed since, to which the wall clock is compared; across boots nothing does. Where
the wall clock does not agree, the time of the API's server decides: it confirms the wall clock, or refuses it. Where
that cannot be had, too, only as much time has passed as is known for certain.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline import instants
from pipeline.api.server_time import MOST_OFF, ServerTime
from pipeline.errors import Trouble
from pipeline.model.slots import LedgerMark
from pipeline.uptime import Uptime

AGREES_WITHIN = timedelta(seconds=2)
"""How far the wall clock may be from what the uptime says."""
_SAME_WITHIN = timedelta(milliseconds=50)
"""How far they may be apart because both are read one after the other, and the uptime to a hundredth of a second."""
_A_SECOND = timedelta(seconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC)
_SET_IT = "set the clock, and keep it set by NTP"


class UntrustedClock(Trouble):
    """The wall clock cannot be right: nothing is requested."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Slots and blocks dated `since` an instant, on the time line as it was, move `by` a span; all others stay."""

    by: timedelta
    since: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What a process begins with: instants of the ledger's time, and what it may correct."""

    now: datetime
    """No later than it is: the age of slots is counted to here."""
    dates_from: datetime
    """No earlier than it is: new slots are dated from here on."""
    is_confirmed: bool = False
    """Whether slots from the future, which a clock that was ahead has dated, may be dated now."""
    shift: Shift | None = None
    unreached: str | None = None
    """Why the API's host, which was to be asked for the time, was not reached."""

    @property
    def is_one_line(self) -> bool:
        """Whether what is dated from here on is on one time line with what was dated before in this boot."""
        return self.is_confirmed or self.dates_from - self.now <= AGREES_WITHIN


def known_now(mark: LedgerMark, uptime: Uptime | None) -> datetime | None:
    """Return what the ledger's time is by the uptime since its mark, None if the machine was started again since."""
    then = mark.uptime
    if then is None or uptime is None or then.boot != uptime.boot or uptime.span < then.span:
        return None
    return mark.at + (uptime.span - then.span)


def by_wall(mark: LedgerMark, *, wall: datetime, uptime: Uptime | None) -> Shift | None:
    """Return the shift after which slots have their age by the wall clock; None if it agrees with the uptime.

    It is for what is shown. A clock that is behind may have been ahead before: then what is from an earlier boot stays,
    as in `confirmed`.
    """
    known = known_now(mark, uptime)
    if known is None or uptime is None or abs(wall - known) <= AGREES_WITHIN:
        return None
    return Shift(wall - known, _FIRST if wall > known else known - uptime.span - _A_SECOND)


def least_now(mark: LedgerMark | None, *, wall: datetime, uptime: Uptime | None) -> datetime:
    """Return the latest instant that the ledger's time has certainly reached, and the wall clock, too."""
    if mark is None:
        return wall
    return min(wall, known_now(mark, uptime) or mark.at)


def trusted(
    mark: LedgerMark | None, *, wall: datetime, uptime: Uptime | None, newest: datetime | None = None
) -> Standing | None:
    """Return the standing where the wall clock agrees with the uptime, or there is no mark; None if it is suspect.

    It is also where the `newest` slot is from the future: then a clock was wrong, and it may be this one.
    """
    if mark is None:
        return Standing(wall, wall)
    known = known_now(mark, uptime)
    if known is None or abs(wall - known) > AGREES_WITHIN:
        return None
    if newest is not None and newest > max(known, wall) + AGREES_WITHIN:
        return None
    if abs(wall - known) <= _SAME_WITHIN:
        return Standing(wall, wall)
    return Standing(min(wall, known), max(wall, known))


def confirmed(mark: LedgerMark, server: ServerTime, *, wall: datetime, uptime: Uptime | None) -> Standing:
    """Return the standing where the server's time confirms the wall clock. Raise UntrustedClock if it does not.

    What was dated in this boot is then corrected: it becomes as old as it truly is. But where less time has passed by
    the uptime than by the server, what a confirmed clock has dated stays: the uptime stood still, as that of a virtual
    machine does while it is suspended, or it is of a boot before this one, in which nothing could be confirmed yet.
    """
    if not server.is_within(MOST_OFF, wall):
        raise UntrustedClock(
            f"this machine's clock shows {_shown(wall)}, the API's server {_shown(server.earliest)}",
            remedy=f"nothing is requested; {_SET_IT}",
        )
    is_exact = server.is_within(timedelta(), wall)
    now, dates_from = (wall, wall) if is_exact else (server.earliest, server.latest)
    known = known_now(mark, uptime)
    shift = None
    if known is not None and uptime is not None:
        by, since = dates_from - known, known - uptime.span - _A_SECOND
        if by > timedelta() and mark.confirmed_at is not None:
            since = max(since, mark.confirmed_at + instants.MILLISECOND)
        shift = Shift(by, since)
    return Standing(now, dates_from, is_confirmed=True, shift=shift)


def unconfirmed(mark: LedgerMark, *, wall: datetime, uptime: Uptime | None, heard: datetime | None = None) -> Standing:
    """Return the standing where no server says its time: only what is known has passed, however late the clock shows.

    `heard`: the time of the server when it last contradicted a clock that was behind; it is later now. Raise
    UntrustedClock if the wall clock is behind the mark: it is not set.
    """
    known = known_now(mark, uptime) or mark.at
    if wall < known - AGREES_WITHIN:
        raise UntrustedClock(
            f"this machine's clock shows {_shown(wall)}, but the record has reached {_shown(known)}",
            remedy=f"nothing is requested; {_SET_IT}; if it is right, the API's server confirms it when it answers;"
            " if that never says its time, set source.time_url",
        )
    return Standing(known, max(wall, known, mark.confirmed_at or known, heard or known))


def refuse_unset(wall: datetime, *, name: str = "this machine's clock") -> None:
    """Raise UntrustedClock for a clock that shows a time before there was this program."""
    if wall < instants.EARLIEST_PLAUSIBLE:
        raise UntrustedClock(f"{name} is not set, as it shows {_shown(wall)}", remedy=_SET_IT)


def _shown(at: datetime) -> str:
    return f"{instants.for_people(at)} UTC"
