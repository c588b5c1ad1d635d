"""Checks of the fleet: whether this machine is in one, and with --online, how its PostgreSQL and members are."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline import extras
from pipeline.doctor.findings import Finding, Level
from pipeline.errors import Trouble
from pipeline.fleet.agreement import Agreement
from pipeline.fleet.examination import Examined, Pooling
from pipeline.fleet.problems import CLOCK_TOLERANCE, problems, span_text
from pipeline.fleet.state import FleetState
from pipeline.monitoring.checks import Kind
from pipeline.settings.api_keys import api_keys
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import Fleet, fleet_url, needed_fleet_url
from pipeline.settings.load import Settings
from pipeline.store.database import DatabaseError
from pipeline.store.log_place import followed, holds_own_record
from pipeline.text import count


def check_fleet(settings: Settings, variables: Environment, examined: Examined | Trouble | None) -> Iterator[Finding]:
    """Yield whether this machine is in a fleet and can be, and how the fleet is.

    `examined`: what was found of its PostgreSQL, or why nothing was; None: nobody has looked.
    """
    try:
        url = fleet_url(variables) if settings.fleet is None else needed_fleet_url(variables)
    except SettingsError as error:
        yield Finding(Kind.FLEET, Level.PROBLEM, error.problem, error.remedy)
        return
    with suppress(DatabaseError):  # what else is wrong with the file, its own checks say
        yield from _file(settings.database, settings.fleet, examined)
    if settings.fleet is None or url is None:
        return
    if not extras.have_fleet():
        yield Finding(Kind.FLEET, Level.PROBLEM, "psycopg or Procrastinate is missing", extras.installs("fleet"))
        return
    yield Finding(Kind.FLEET, Level.OK, f"configured as {settings.fleet.name}")
    if examined is None:
        yield Finding(Kind.FLEET, Level.NOTE, "PostgreSQL not tried", "pipeline doctor --online connects to it")
    elif isinstance(examined, Trouble):
        yield Finding(Kind.FLEET, Level.PROBLEM, examined.problem, examined.remedy)
    else:
        yield from _server(examined)
        yield from _agreement(settings, settings.fleet, variables, examined.state)
        for one in problems(examined.state):
            yield Finding(Kind.FLEET, Level.NOTE if one.is_warning else Level.PROBLEM, one.text, one.remedy)


def _file(database: Path, fleet: Fleet | None, examined: Examined | Trouble | None) -> Iterator[Finding]:
    """Yield whether the file goes with what this machine is configured for. Raise DatabaseError."""
    place = followed(database)
    if place is None:
        if fleet is not None and holds_own_record(database):
            remedy = "pipeline fleet import gives its record to the fleet; or configure another database"
            yield Finding(Kind.FLEET, Level.PROBLEM, f"{database} was collected by a single machine", remedy)
        return
    if fleet is None:
        remedy = "set PIPELINE_FLEET_URL to keep it current, or let it collect for itself: pipeline fleet detach"
        found = f"{database} follows the fleet {place.fleet}, and no fleet is configured"
        yield Finding(Kind.FLEET, Level.NOTE, found, remedy)
    elif isinstance(examined, Examined) and place.fleet != str(examined.state.id):
        found = f"{database} follows another fleet: {place.fleet}"
        yield Finding(Kind.FLEET, Level.PROBLEM, found, "configure another database, or the other PIPELINE_FLEET_URL")
    elif isinstance(examined, Examined) and place.seq > examined.state.head:
        ends = f"the fleet's log ends at entry {examined.state.head:,}, and {database} has it up to {place.seq:,}"
        remedy = "pipeline run or follow reads it again after a takeover or a restored dump, or says what to do"
        yield Finding(Kind.FLEET, Level.NOTE, f"{ends}: PostgreSQL was set back", remedy)
    elif isinstance(examined, Examined):
        found = f"{database} has {place.seq:,} of {examined.state.head:,} entries of the fleet's log"
        yield Finding(Kind.FLEET, Level.OK, found)


def _server(examined: Examined) -> Iterator[Finding]:
    """Yield what the server is, how this machine's clock goes with its own, and what is between them."""
    state = examined.state
    server = f"PostgreSQL {state.server.version} at {examined.place}, schema {state.schema}"
    running = " and ".join(count(len(state.running(role)), role) for role in ("member", "follower"))
    yield Finding(Kind.FLEET, Level.OK, f"{server}: fleet {state.id}, {running}")
    yield Finding(Kind.FLEET, Level.OK, _SCOPE)
    ahead = examined.clock_ahead
    off = f"this clock is {span_text(abs(ahead))} {'behind' if ahead.days < 0 else 'ahead of'} PostgreSQL's"
    if abs(ahead) > CLOCK_TOLERANCE:
        yield Finding(Kind.FLEET, Level.NOTE, off, "set it, best by NTP; quota and fire times go by PostgreSQL's")
    else:
        yield Finding(Kind.FLEET, Level.OK, off)
    for name in examined.unsafe:
        lost = f"{name} is off in PostgreSQL: if its machine crashes, requests are forgotten, and plans exceeded"
        yield Finding(Kind.FLEET, Level.NOTE, lost, f"set {name} = on")
    if examined.pooling is not Pooling.NONE:
        yield Finding(Kind.FLEET, Level.OK, f"through a pooler in mode {examined.pooling}")


def _agreement(settings: Settings, fleet: Fleet, variables: Environment, state: FleetState) -> Iterator[Finding]:
    """Yield in what this machine is configured otherwise than the fleet has agreed. One that only follows may be."""
    try:
        keys = api_keys(variables, settings)
    except SettingsError:
        return  # what is wrong with keys, their own check says
    if not keys:
        return  # a follower without a configuration: no keys are configured
    agreed = state.agreement
    mine = Agreement.of(keys, settings.schedules, plans=settings.plans)
    difference = None if agreed is None else mine.difference(agreed)
    if difference is None:
        return
    if any(member.name != fleet.name for member in state.running("member")):
        found = f"pipeline run would end with 3: {difference.text}"
        yield Finding(Kind.FLEET, Level.PROBLEM, found, difference.remedy)
    else:
        found = f"pipeline run, once started, replaces what the fleet has agreed: {difference.text}"
        yield Finding(Kind.FLEET, Level.NOTE, found, difference.remedy)


_SCOPE = "limits hold for who uses this database: what another program sends with the same keys is not counted"
