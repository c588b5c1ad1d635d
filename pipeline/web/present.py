"""The present: the instant that a question asks about which names none."""

from datetime import datetime, timedelta

from pipeline.store.data_version import Version

LASTS = timedelta(seconds=10)
"""How long it may stand still. Ages are shown in minutes."""


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
