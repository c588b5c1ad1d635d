"""Set-up: makes a fleet in PostgreSQL, and makes one machine's configuration what all members have to agree about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from pipeline.fleet.agreement import Agreement
from pipeline.fleet.install import Installed, install
from pipeline.fleet.members import proposal
from pipeline.fleet.quota import DECLARE, declaration
from pipeline.quota.keys import ApiKey
from pipeline.schedule.cron import Schedule


@dataclass(frozen=True, slots=True)
class SetUp:
    """What a set-up did."""

    fleet: str
    """The fleet's id."""
    installed: Installed
    is_new: bool
    """Whether nothing was agreed about before."""
    difference: str | None
    """In what the agreement from before was another one; None if it was not."""
    running: tuple[str, ...]
    """Members that run: with another configuration they leave now."""


def set_up(db: psycopg.Connection[Any], keys: Sequence[ApiKey], schedules: Sequence[Schedule], *, member: str) -> SetUp:
    """Bring the schema up to date, and replace what was agreed about.

    The limits of other keys stay as they are. Raise FleetRefused for a server or schema that this program cannot use,
    and psycopg.Error.
    """
    installed = install(db)
    wanted = Agreement.of({key.id: key.plan for key in keys}, schedules)
    with db.transaction():
        ((fleet,),) = db.execute("SELECT id::text FROM fleet.about FOR UPDATE").fetchall()
        agreed = db.execute("SELECT settings FROM fleet.agreed").fetchone()
        settings, difference = proposal(wanted, None if agreed is None else agreed[0])
        db.execute(_AGREE, [settings, member])
        for key in keys:
            db.execute(DECLARE, declaration(key.id, key.plan))
        running = tuple(name for (name,) in db.execute(_RUNNING))
    return SetUp(fleet, installed, agreed is None, difference, running)


_AGREE = """
    INSERT INTO fleet.agreed AS a (settings, member, at) VALUES (%s, %s, clock_timestamp())
    ON CONFLICT (one) DO UPDATE SET settings = excluded.settings, member = excluded.member, at = excluded.at
     WHERE a.settings <> excluded.settings
"""
_RUNNING = """
    SELECT name FROM fleet.members
     WHERE role = 'member' AND left_at IS NULL AND beat_at > clock_timestamp() - fleet.lives() ORDER BY name
"""
