"""The present: the latest instant that may be asked about, and instants read relative to it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from pipeline import instants
from pipeline.agents.refusals import BadCall


@dataclass(frozen=True, slots=True)
class Present:
    """The present of a server: what the clock shows, or under a lock the lock's instant.

    Under a lock, `now` and `7d` count from the lock: the record's clock stands still there.
    """

    now: Callable[[], datetime]
    lock: datetime | None = None

    def instant(self) -> datetime:
        """Return the latest instant that may be asked about."""
        now = self.now()
        return instants.in_milliseconds(now if self.lock is None else min(now, self.lock))

    def bound(self, name: str, text: str) -> datetime:
        """Return the instant up to which a call asks. A day that is not over ends at the present, except under a lock.

        Raise BadCall for text that is none, or an instant after the present.
        """
        present = self.instant()
        at = self._parse(name, text, present, day_ends=True)
        if at <= present:
            return at
        has_begun = self._parse(name, text, present, day_ends=False) <= present
        if text.strip().lower() == "today" or (has_begun and self.lock is None):
            return present
        if self.lock is not None:
            problem = f"{name} {text!r} is after the lock: this record is open up to {instants.to_text(present)}"
            raise BadCall(problem, remedy=f"ask for an instant up to then; {name}='now' means the lock's")
        problem = f"{name} {text!r} is in the future: it is {instants.to_text(present)} now"
        raise BadCall(problem, remedy=f"ask for a past instant, or {name}='now'")

    def since(self, text: str, until: datetime) -> datetime:
        """Return the instant from which a call asks. Raise BadCall for text that is none, or one after `until`."""
        return self._not_after(text, self._parse("since", text, self.instant(), day_ends=False), until)

    def day_or_instant(self, text: str, until: datetime) -> date | datetime:
        """Return the day or the instant with which a grid begins. Raise BadCall as `since` does."""
        self.since(text, until)
        return instants.parse_day_or_instant(text, now=self.instant())

    @staticmethod
    def _not_after(text: str, since: datetime, until: datetime) -> datetime:
        if since <= until:
            return since
        problem = f"since {text!r} is {instants.to_text(since)}, later than until, {instants.to_text(until)}"
        raise BadCall(problem, remedy="name an earlier since; spans such as 7d count back from the present")

    @staticmethod
    def _parse(name: str, text: str, present: datetime, *, day_ends: bool) -> datetime:
        try:
            return instants.in_milliseconds(instants.parse(text, now=present, day_ends=day_ends))
        except ValueError as error:
            raise BadCall(f"{name}: {error}") from None
