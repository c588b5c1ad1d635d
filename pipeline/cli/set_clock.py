"""The wall clock, for commands that write what it shows: not before it is set."""

from datetime import datetime

from pipeline import instants
from pipeline.quota.ledger_time import refuse_unset


def set_now() -> datetime:
    """Return what the wall clock shows. Raise UntrustedClock if that is before there was this program."""
    now = instants.utc_now()
    refuse_unset(now)
    return now
