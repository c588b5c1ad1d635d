"""The checkup: all checks, in the order in which their findings are printed. A new check is a line here.

A damaged database comes first: nothing else matters as much.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from pipeline.api.reachability import Answer, Reason
from pipeline.doctor import configuration, files, machine
from pipeline.doctor.access import check_access
from pipeline.doctor.database import check_database
from pipeline.doctor.deep import OnDeep
from pipeline.doctor.findings import Finding, Level
from pipeline.doctor.fleet import check_fleet
from pipeline.doctor.network import check_certificates, check_network
from pipeline.errors import Trouble
from pipeline.fleet.examination import Examined
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings
from pipeline.settings.secrets import redaction


def findings(
    settings: Settings | SettingsError,
    variables: Environment,
    *,
    now: datetime,
    thorough: bool,
    network: Answer | Reason | None = None,
    fleet: Examined | Trouble | None = None,
    on_deep: OnDeep | None = None,
) -> list[Finding]:
    """Return what was found. `thorough` reads the whole database, which takes long if it is large.

    `on_deep`: compare the database with its digests and checksums, and call this with how far that has come.

    `network`: what the API's host answered, or why there was no connection; None: it was not tried; `fleet` is the
    same of the fleet's PostgreSQL. A secret that was put where it does not belong is hidden in what is returned.
    """
    redact = redaction(variables, settings.proxy if isinstance(settings, Settings) else None)
    found = [
        replace(one, found=redact(one.found), remedy=None if one.remedy is None else redact(one.remedy))
        for one in _checks(
            settings, variables, now=now, thorough=thorough, network=network, fleet=fleet, on_deep=on_deep
        )
    ]
    return sorted(found, key=lambda one: (one.check, one.level) != (Kind.INTEGRITY, Level.PROBLEM))


def _checks(
    settings: Settings | SettingsError,
    variables: Environment,
    *,
    now: datetime,
    thorough: bool,
    network: Answer | Reason | None,
    fleet: Examined | Trouble | None,
    on_deep: OnDeep | None,
) -> Iterator[Finding]:
    yield from machine.check_python()
    yield from machine.check_sqlite()
    yield from configuration.check_environment(variables)
    yield from configuration.check_settings(settings)
    if isinstance(settings, SettingsError):
        return
    only_follows = configuration.only_follows(settings, variables)
    if settings.all_symbols or not only_follows:
        yield from configuration.check_symbols(settings)
    yield from configuration.check_zones(settings)
    yield from configuration.check_staleness(settings)
    yield from configuration.check_keys(settings, variables)
    yield from check_fleet(settings, variables, fleet)
    yield from configuration.check_proxy(settings, variables)
    yield from configuration.check_web(settings, variables)
    yield from check_certificates(variables)
    if not only_follows:
        yield from check_network(settings, network)
    yield from configuration.check_notifications(variables)
    yield from files.check_disk(settings.database)
    yield from machine.check_clock(now)
    yield from files.check_file_system(settings.database)
    yield from files.check_names(settings.database)
    yield from check_access(settings.database)
    yield from files.check_modes(settings.database, variables)
    yield from files.check_leftovers(settings.database)
    yield from check_database(
        settings.database,
        now=now,
        thorough=thorough,
        backup_after=settings.backup_after,
        renames=settings.renames,
        symbols=settings.all_symbols,
        on_deep=on_deep,
    )
