"""Checks of dates: observations and runs that a wrong clock dated, before the API or this program, or in the future."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.audit.misdated import Misdated, misdated_observations, misdated_runs
from pipeline.doctor.findings import Finding, Level
from pipeline.instants import text_for_people
from pipeline.monitoring.checks import Kind
from pipeline.store.log_place import read_followed
from pipeline.store.stored_symbols import is_first_company_invented
from pipeline.text import count

_TOLERANCE = timedelta(minutes=1)
"""An observation so little ahead may be from a run that is under way."""


def check_dates(db: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    """Yield the observations and runs that a wrong clock dated; one finding that the last is well, if there are none.

    Recordings may be imported from as far back as there was the API. A run is never older than this program, but the
    sandbox simulates any day.
    """
    until = instants.to_text(now + _TOLERANCE)
    is_invented = is_first_company_invented(db)
    since, program = ("", "") if is_invented else map(instants.to_text, _BOUNDS)
    early, late = misdated_observations(db, since=since, until=until)
    early_runs, late_runs = misdated_runs(db, since=program, until=until)
    can_correct = read_followed(db) is None
    are_alike = early_runs is None or early_runs.last < since  # else what was imported may be from the same time
    before = [early, early_runs if are_alike else None]
    after = [late, late_runs]
    found = [
        *_finding("observation", early, "from before there was the API", before, can_correct=can_correct),
        *_finding("observation", late, "from the future", after, can_correct=can_correct),
        *_finding("run", early_runs, "from before there was this program", before, can_correct=can_correct),
        *_finding("run", late_runs, "from the future", after, can_correct=can_correct),
    ]
    yield from found
    if not found:
        yield check_last(db, now)


_BOUNDS = (instants.EARLIEST_RECEIVED, instants.EARLIEST_PLAUSIBLE)


def check_last(db: sqlite3.Connection, now: datetime) -> Finding:
    """Return whether the last observation, as the state of its symbol has it, is in the future."""
    until = instants.to_text(now + _TOLERANCE)
    (latest,) = db.execute("SELECT max(last_look) FROM symbols").fetchone()
    if latest is not None and latest > until:
        found = f"the last observation is at {text_for_people(latest)}, in the future"
        return Finding(Kind.OBSERVATIONS, Level.PROBLEM, found, "set the clock, and keep it set")
    return Finding(Kind.OBSERVATIONS, Level.OK, f"the last one at {text_for_people(latest)}" if latest else "none yet")


def _finding(
    noun: str, found: Misdated | None, when: str, together: Iterable[Misdated | None], *, can_correct: bool
) -> Iterator[Finding]:
    """Yield a finding. Its command corrects all that is dated alike, so that runs move with their observations."""
    if found is None:
        return
    of = f" of {count(found.symbols, 'symbol')}" if found.symbols else ""
    verb = "is" if found.count == 1 else "are"
    first, last = map(text_for_people, (found.first, found.last))
    between = f"at {first}" if first == last else f"{first} to {last}"
    remedy = "set the clock, and keep it set"
    if can_correct:
        spans = [found, *(one for one in together if one is not None)]
        since, until = min(one.first for one in spans), max(one.last for one in spans)
        command = f"pipeline correct --since {since} --until {until}"
        remedy += f"; then move all of that time with {command} --shift STEP, or remove it with --remove"
    else:
        remedy += (
            "; in a fleet's log they stay: pipeline fleet detach, then pipeline correct, makes a file without them"
        )
    yield Finding(Kind.OBSERVATIONS, Level.PROBLEM, f"{count(found.count, noun)}{of} {verb} {when}: {between}", remedy)
