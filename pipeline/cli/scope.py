"""Scope: what a status covers, and how it sees the fleet, as this machine is configured."""

from functools import partial

from pipeline.fleet.look import Lookout
from pipeline.monitoring.status import Scope
from pipeline.settings.environment import Environment
from pipeline.settings.fleet import needed_fleet_url
from pipeline.settings.load import Settings


def scope_of(settings: Settings, variables: Environment) -> Scope:
    """Return what a status covers."""
    lookout = lookout_of(settings, variables)
    return Scope(settings.all_symbols, settings.plans, settings.stale_after, settings.backup_after, lookout)


def lookout_of(settings: Settings, variables: Environment) -> Lookout | None:
    """Return how the fleet is seen, None where none is configured. A fleet whose URL is missing cannot be seen."""
    if settings.fleet is None:
        return None
    return Lookout(partial(needed_fleet_url, variables), settings.fleet.name)
