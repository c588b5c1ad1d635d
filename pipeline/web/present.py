"""The present: the instant that a question asks about which names none."""

from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.store.data_version import Version

LASTS = timedelta(seconds=10)
"""How long it may stand still. Ages are shown in minutes."""


class Moment(NamedTuple):
    """The state that the database had when a question came, and the instant that it asks about."""

    version: Version
    at: datetime

    def will_do_for(self, later: "Moment") -> bool:
        """Whether an answer of this moment may be given a little later, until there is a newer one.

        Nothing was written since: the two differ in ages alone, and by less than half a minute.
        """
        return self.version == later.version and timedelta(0) <= later.at - self.at <= 2 * LASTS


class Present:
    """The present instant, which stands still for a moment while nothing is written.

    Equal questions then ask about the same instant, and one answer will do for them. After something was written it is
    the instant of the question: what a client knows to be stored is in its answer.
    """

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._version: Version | None = None

    def __call__(self, version: Version | None, *, now: datetime) -> datetime:
        """Return the present instant, given the state that the database has and what the clock says."""
        stands = self._at is not None and version is not None and version == self._version
        if self._at is None or not stands or not timedelta(0) <= now - self._at < LASTS:
            self._at, self._version = now, version
        return self._at
