"""Set-up: makes a fleet in PostgreSQL, and makes one machine's configuration what all members have to agree about."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from pipeline.errors import Undecodable
from pipeline.fleet.agreement import Agreement
from pipeline.fleet.install import Installed, install
from pipeline.fleet.quota import DECLARE, declaration
from pipeline.quota.keys import ApiKey, KeyPlan
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
    """Members that run: they read their configuration again now, and leave if it does not agree."""


def set_up(
    db: psycopg.Connection[Any],
    keys: Sequence[ApiKey],
    plans: Sequence[KeyPlan],
    schedules: Sequence[Schedule],
    *,
    member: str,
) -> SetUp:
    """Bring the schema up to date, and replace what was agreed about. From then on slots are given by these limits.

    `plans`: of all keys that are configured, also those that this machine does not hold. Raise FleetRefused for a
    server or schema that this program cannot use, and psycopg.Error.
    """
    installed = install(db)
    wanted = Agreement.of(keys, schedules, plans=plans)
    with db.transaction():
        ((fleet,),) = db.execute("SELECT id::text FROM fleet.about FOR UPDATE").fetchall()
        agreed = db.execute("SELECT settings FROM fleet.agreed").fetchone()
        before = None if agreed is None else _read(agreed[0])
        now = wanted if before is None else wanted.in_place_of(before)
        db.execute(_AGREE, [now.to_text(), member])
        for plan in plans:
            if (key := now.keys[plan.name].id) is not None:
                db.execute(DECLARE, declaration(key, plan))
        running = tuple(name for (name,) in db.execute(_RUNNING))
    return SetUp(fleet, installed, agreed is None, _difference(now, before), running)


def _read(text: str) -> Agreement | None:
    with suppress(Undecodable):
        return Agreement.from_text(text)
    return None


def _difference(now: Agreement, before: Agreement | None) -> str | None:
    """Return in what the agreement from before was another one, if there was one."""
    if before is None:
        return None
    difference = now.difference(before) or now.addition_to(before)
    if difference is not None:
        return difference.text
    removed = [name or "without a name" for name in before.keys if name not in now.keys]
    return f"the fleet had the key {removed[0]}, which is not configured here" if removed else None


_AGREE = """
    INSERT INTO fleet.agreed AS a (settings, member, at) VALUES (%s, %s, clock_timestamp())
    ON CONFLICT (one) DO UPDATE SET settings = excluded.settings, member = excluded.member, at = excluded.at
     WHERE a.settings <> excluded.settings
"""
_RUNNING = """
    SELECT name FROM fleet.members
     WHERE role = 'member' AND left_at IS NULL AND beat_at > clock_timestamp() - fleet.lives() ORDER BY name
"""
