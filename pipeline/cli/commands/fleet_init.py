"""`pipeline fleet init`: make a fleet, or bring its schema up to date, and set what its members agree about."""

import shlex
from contextlib import suppress

import click

from pipeline import extras
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_facts, print_json, print_line
from pipeline.quota.keys import ApiKey
from pipeline.settings.api_keys import api_keys
from pipeline.settings.environment import Environment, key_variables
from pipeline.settings.fleet import needed_fleet_url
from pipeline.settings.load import Settings
from pipeline.settings.secret_files import is_secret_set
from pipeline.store.database import DatabaseError
from pipeline.store.log_place import holds_own_record
from pipeline.text import count, few


@click.command(name="init", epilog=examples("PIPELINE_FLEET_URL=postgresql://me@db.example/fleet pipeline fleet init"))
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> None:
    """Make a fleet in the PostgreSQL database of PIPELINE_FLEET_URL, or bring its schema up to date.

    What its members have to agree about, the keys with their limits and the schedules, is then what this machine's
    configuration says. Members that run read theirs again by themselves, and leave with exit code 3 if it differs.
    Nothing else of the fleet changes.
    """
    variables, is_own = read_environment(), False
    settings, url = load_settings(options, variables), needed_fleet_url(variables)
    assert settings.fleet is not None  # there is a URL
    keys = _held(settings, variables)
    with extras.fleet():
        from pipeline.fleet.connection import connected, place  # noqa: PLC0415 - an extra
        from pipeline.fleet.setup import set_up  # noqa: PLC0415 - an extra
    with connected(url) as db:
        done = set_up(db, keys, settings.plans, settings.schedules, member=settings.fleet.name)
    with suppress(DatabaseError):
        is_own = holds_own_record(settings.database)
    before, after = done.installed.before, done.installed.after
    if as_json:
        print_json(
            {
                "fleet": done.fleet,
                "schema_before": before,
                "schema": after,
                "keys": [key.name for key in keys],
                "schedules": [str(schedule) for schedule in settings.schedules],
                "changed": done.difference,
                "running": done.running,
            }
        )
        return
    schema = f"schema {after}" if before in (0, after) else f"schema {before} is now {after}"
    facts = {
        "fleet": f"{done.fleet}, {'made' if before == 0 else 'as before'}",
        "PostgreSQL": f"{place(url)}, {schema}",
        "agreed": _agreed(settings),
    }
    if done.difference is not None:
        facts["before"] = done.difference
        if done.running:
            facts["running"] = f"{few(done.running)}: {_RUNNING}"
    print_facts(facts)
    if elsewhere := [plan.name or "the key" for plan in settings.plans if plan.name not in {key.name for key in keys}]:
        print_line(f"not set here: {few(elsewhere)}; some member needs it")
    if is_own:
        record = shlex.quote(str(settings.database))
        print_line(f"next: pipeline fleet import {record}, to give the fleet this machine's record")
        return
    print_line("next: pipeline run, here and on other machines with this PIPELINE_FLEET_URL")


def _held(settings: Settings, variables: Environment) -> tuple[ApiKey, ...]:
    """Return the keys that this machine holds, none if none is set. Raise SettingsError for one that cannot be one."""
    if not any(is_secret_set(variables, *key_variables(plan.name)) for plan in settings.plans):
        return ()
    return api_keys(variables, settings)


_RUNNING = "they read their configuration again now, and one that is configured otherwise leaves with 3"


def _agreed(settings: Settings) -> str:
    """Return in one line what was agreed about."""
    limits = [
        f"{plan.name or 'the key'} {', '.join(map(str, plan.limits)) or 'without limits'}" for plan in settings.plans
    ]
    return "; ".join([count(len(settings.schedules), "schedule"), *limits])
