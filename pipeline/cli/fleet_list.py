"""The fleet list: what a follower without a list of its own shows as configured: the fleet's list and schedules."""

import sqlite3
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from pipeline.model.symbols import Symbol
from pipeline.schedule.cron import Schedule, check_cron, check_timezone
from pipeline.settings.load import Settings
from pipeline.store.database import DatabaseError
from pipeline.store.log_place import read_followed
from pipeline.store.schema import connect_checked


def as_followed(settings: Settings) -> Settings:
    """Return the settings for a command that only shows. Where no symbols are configured, and the file follows a fleet,
    they have the fleet's list, and its schedules, as the log brought them. Its limits are PostgreSQL's: they have none.
    """
    if settings.all_symbols or not settings.database.is_file():
        return settings
    with suppress(DatabaseError, sqlite3.Error), connect_checked(settings.database) as (db, _):
        if read_followed(db) is None:
            return settings
        listed = db.execute("SELECT DISTINCT symbol FROM universe WHERE until IS NULL ORDER BY symbol").fetchall()
        schedules = db.execute("SELECT schedule FROM schedules ORDER BY schedule").fetchall()
        return replace(
            settings,
            symbols=tuple(Symbol(symbol) for (symbol,) in listed),
            schedules=tuple(filter(None, (_schedule(name) for (name,) in schedules))),
            plans=(),
        )
    return settings


def _schedule(name: str) -> Schedule | None:
    """Return the schedule that the database stores under a name; None if its time zone, say, is not known here.

    What it catches up is not known either.
    """
    cron, _, timezone = name.rpartition(" ")
    try:
        check_cron(cron)
        check_timezone(timezone)
    except ValueError:
        return None
    return Schedule(cron, timezone, catch_up=timedelta())
