"""Checks of the fleet: whether this machine is in one, and with --online, how its PostgreSQL and members are."""

from collections.abc import Iterator

from pipeline import extras
from pipeline.doctor.findings import Finding, Level
from pipeline.errors import Trouble
from pipeline.fleet.examination import Examined, Pooling
from pipeline.fleet.problems import CLOCK_TOLERANCE, problems, span_text
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import fleet_url, needed_fleet_url
from pipeline.settings.load import Settings
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
        for one in problems(examined.state):
            yield Finding(Kind.FLEET, Level.NOTE if one.is_warning else Level.PROBLEM, one.text, one.remedy)


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
    if examined.pooling is Pooling.TRANSACTION:
        found = "a pooler gives each transaction another connection: new work is noticed seconds later"
        yield Finding(Kind.FLEET, Level.NOTE, found, "let members connect to PostgreSQL, or in session mode")


_SCOPE = "limits hold for who uses this database: what another program sends with the same keys is not counted"
