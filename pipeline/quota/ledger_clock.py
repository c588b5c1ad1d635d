"""The ledger's clock: dates the slots of one process, whatever the wall clock is set to meanwhile."""

from datetime import datetime, timedelta

from pipeline import instants
from pipeline.api.server_time import MOST_OFF, ServerTime
from pipeline.clock import Clock
from pipeline.instants import Nanoseconds
from pipeline.model.slots import LedgerMark
from pipeline.quota.ledger_time import AGREES_WITHIN, Standing


class LedgerClock:
    """Goes on from a standing by the monotonic clock.

    Where the system does not say its uptime, the monotonic clock may stand still while the machine sleeps: then the
    wall clock's instant is taken if it is later.
    """

    def __init__(self, own: Clock, standing: Standing, confirmed_at: datetime | None = None) -> None:
        """`confirmed_at`: as the ledger's last mark has it."""
        self.standing = standing
        self.began: Nanoseconds = own.monotonic()
        """When it was `standing.now`, by the monotonic clock."""
        self._own = own
        self._dates_from = standing.dates_from
        self._stands_still_asleep = own.uptime() is None
        self._confirmed_at = confirmed_at
        self._is_confirmed: bool | None = None
        """Whether the answers of this process say that what it dates is dated no earlier than it is."""

    def now(self) -> datetime:
        """Return the instant to date what happens now."""
        at = self._dates_from + self._passed
        return max(at, self._own.now()) if self._stands_still_asleep else at

    def hear(self, server: ServerTime) -> None:
        """Note the server's time: what it has just answered is dated no earlier, though the clock may be behind."""
        now = self.now()
        is_right = server.earliest - AGREES_WITHIN <= now <= server.latest + MOST_OFF
        self._is_confirmed = is_right and self._is_confirmed is not False
        if server.earliest > now:
            self._dates_from += server.latest - now

    def mark(self) -> LedgerMark:
        """Return what the ledger's time has reached."""
        return LedgerMark(self.standing.now + self._passed, self._own.uptime(), self._confirmed())

    def _confirmed(self) -> datetime | None:
        now = self.now() + instants.MILLISECOND  # as where slots are closed
        if self._is_confirmed and self.standing.is_one_line:
            return now
        return self._confirmed_at and min(self._confirmed_at, now)

    @property
    def _passed(self) -> timedelta:
        return timedelta(microseconds=(self._own.monotonic() - self.began) // 1000)
