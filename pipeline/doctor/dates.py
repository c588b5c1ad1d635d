"""Checks of dates: observations and runs that a wrong clock dated, before the API or this program, or in the future."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.api.server_time import MOST_OFF, credible_until
from pipeline.audit.misdated import Misdated, misdated_observations, misdated_runs
from pipeline.doctor.findings import Finding, Level
from pipeline.instants import text_for_people
from pipeline.monitoring.checks import Kind
from pipeline.store.log_place import read_followed
from pipeline.store.stored_symbols import is_first_company_invented
from pipeline.text import count

_UNDER_WAY = timedelta(minutes=1)
"""An observation so little ahead may be from a run that is under way."""


def check_dates(db: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    """Yield the observations and runs that a wrong clock dated; one finding that the last is well, if there are none.

    Recordings may be imported from as far back as there was the API. A run is never older than this program, but the
    sandbox simulates any day. By a clock that is not set, nothing is judged to be from the future.
    """
    until = instants.to_text(credible_until(now))
    is_invented = is_first_company_invented(db)
    since, program = ("", "") if is_invented else map(instants.to_text, _BOUNDS)
    early, late = misdated_observations(db, since=since, until=until)
    early_runs, late_runs = misdated_runs(db, since=program, until=until)
    can_correct = read_followed(db) is None
    are_alike = early_runs is None or early_runs.last < since  # else what was imported may be from the same time
    before = [early, early_runs if are_alike else None]
    after = [late, late_runs]
    found = [
        *_finding("observation", early, "from before there was the API", _SET, before, can_correct=can_correct),
        *_finding("observation", late, "from the future", _COMPARE, after, can_correct=can_correct),
        *_finding("run", early_runs, "from before there was this program", _SET, before, can_correct=can_correct),
        *_finding("run", late_runs, "from the future", _COMPARE, after, can_correct=can_correct),
    ]
    yield from found
    if not found or _is_unset(now):
        yield check_last(db, now)


_BOUNDS = (instants.EARLIEST_RECEIVED, instants.EARLIEST_PLAUSIBLE)
_SET = "set the clock, and keep it set; then"
_COMPARE = (
    "first make sure that this clock is right (pipeline doctor --online compares it): if it is wrong, set it, and the"
    " record is right; only if it is right,"
)


def _is_unset(now: datetime) -> bool:
    return now < instants.EARLIEST_PLAUSIBLE


def check_last(db: sqlite3.Connection, now: datetime) -> Finding:
    """Return whether the last observation, as the state of its symbol has it, is in the future.

    What is ahead by less than a clock may be is a note: `collect` accepts such a clock.
    """
    (latest,) = db.execute("SELECT max(last_look) FROM symbols").fetchone()
    if _is_unset(now):
        at = f"the last one at {text_for_people(latest)}, " if latest else ""
        found = f"{at}not compared: the clock is not set"
        return Finding(Kind.OBSERVATIONS, Level.NOTE, found, "set the clock, then repeat this")
    if latest is not None and latest > instants.to_text(now + _UNDER_WAY):
        level = Level.PROBLEM if latest > instants.to_text(now + MOST_OFF) else Level.NOTE
        found = f"the last observation is at {text_for_people(latest)}, in the future"
        remedy = "pipeline doctor --online compares this clock; if it is wrong, set it, and keep it set by NTP"
        return Finding(Kind.OBSERVATIONS, level, found, remedy)
    return Finding(Kind.OBSERVATIONS, Level.OK, f"the last one at {text_for_people(latest)}" if latest else "none yet")


def _finding(
    noun: str,
    found: Misdated | None,
    when: str,
    first_do: str,
    together: Iterable[Misdated | None],
    *,
    can_correct: bool,
) -> Iterator[Finding]:
    """Yield a finding, whose remedy begins with `first_do`.

    Its command corrects all that is dated alike, so that runs move with their observations.
    """
    if found is None:
        return
    of = f" of {count(found.symbols, 'symbol')}" if found.symbols else ""
    verb = "is" if found.count == 1 else "are"
    first, last = map(text_for_people, (found.first, found.last))
    between = f"at {first}" if first == last else f"{first} to {last}"
    if can_correct:
        spans = [found, *(one for one in together if one is not None)]
        since, until = min(one.first for one in spans), max(one.last for one in spans)
        command = f"pipeline correct --since {since} --until {until}"
        remedy = f"{first_do} move all of that time with {command} --shift STEP, or remove it with --remove"
    else:
        remedy = f"{first_do} pipeline fleet detach, then pipeline correct, makes a file without them; the log has them"
    yield Finding(Kind.OBSERVATIONS, Level.PROBLEM, f"{count(found.count, noun)}{of} {verb} {when}: {between}", remedy)
