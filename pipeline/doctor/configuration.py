"""Checks of the configuration: variables, `.env`, symbols, the key, notifications."""

from collections.abc import Iterator
from contextlib import suppress

from pipeline.doctor.findings import Finding, Level
from pipeline.errors import Trouble
from pipeline.monitoring.checks import Kind
from pipeline.monitoring.recipients import read_recipients
from pipeline.monitoring.threshold import check_threshold, span_text
from pipeline.schedule.zones import fixed_offset_problem
from pipeline.settings.api_keys import FREE_KEY, api_keys, key_variable
from pipeline.settings.environment import Environment, key_variables, variable_of
from pipeline.settings.errors import SettingsError
from pipeline.settings.exposure import check_exposure
from pipeline.settings.key_forms import unusual_form
from pipeline.settings.load import Settings
from pipeline.settings.near_misses import hint, unread_keys, unread_variables
from pipeline.settings.proxies import ignored_proxies
from pipeline.settings.secret_files import is_secret_set
from pipeline.settings.secrets import notify_urls, ping_url, web_token
from pipeline.store.database import DatabaseError
from pipeline.store.log_place import followed
from pipeline.text import count, few


def check_environment(variables: Environment) -> Iterator[Finding]:
    """Yield what is wrong with `.env`, and the variables that set nothing."""
    for problem in variables.problems:
        yield Finding(Kind.ENV_FILE, Level.PROBLEM, problem.problem, problem.remedy)
    unread = list(unread_variables(variables.variables))
    for name, meant in unread:
        if meant is not None or "__" in name:
            yield Finding(Kind.ENVIRONMENT, Level.NOTE, f"{name} sets nothing", hint(meant))
    if others := [name for name, meant in unread if meant is None and "__" not in name]:
        remedy = "pipeline config lists the keys; ignore this if they belong to another program"
        yield Finding(Kind.ENVIRONMENT, Level.NOTE, f"not read by this program: {few(others)}", remedy)


def check_settings(settings: Settings | SettingsError) -> Iterator[Finding]:
    """Yield whether the configuration can be used."""
    if isinstance(settings, SettingsError):
        remedy = settings.remedy or "fix it; pipeline config shows what is read"
        yield Finding(Kind.CONFIGURATION, Level.PROBLEM, settings.problem, remedy)
    else:
        yield Finding(Kind.CONFIGURATION, Level.OK, str(settings.config or "none: defaults"))


def only_follows(settings: Settings, variables: Environment) -> bool:
    """Whether this machine has no key, and so can only follow its fleet: it never asks the API. Raise nothing."""
    names = [plan.name for plan in settings.plans]
    if any(is_secret_set(variables, *key_variables(name)) for name in names) or unread_keys(variables, names):
        return False
    with suppress(DatabaseError):
        return settings.fleet is not None or followed(settings.database) is not None
    return False


def check_symbols(settings: Settings) -> Iterator[Finding]:
    """Yield how many symbols are configured, and what was changed or left out of their lists."""
    for notice in settings.notices:
        yield Finding(Kind.SYMBOLS, Level.NOTE, notice)
    if settings.all_symbols:
        yield Finding(Kind.SYMBOLS, Level.OK, f"{len(settings.all_symbols):,}")
    else:
        remedy = "list some in the configuration, or name them: pipeline collect AAPL"
        yield Finding(Kind.SYMBOLS, Level.NOTE, "none configured", remedy)


def check_zones(settings: Settings) -> Iterator[Finding]:
    """Yield the time zones of schedules that have no daylight saving time, and are easily taken for local time."""
    for zone in dict.fromkeys(schedule.timezone for schedule in settings.schedules):
        if (problem := fixed_offset_problem(zone)) is not None:
            found, remedy = problem
            yield Finding(Kind.SCHEDULE, Level.NOTE, found, remedy)


def check_staleness(settings: Settings) -> Iterator[Finding]:
    """Yield whether the list, the plan and the schedules go with the threshold for stale symbols."""
    if not settings.all_symbols or not settings.schedules:
        return
    threshold = check_threshold(settings)
    if threshold.problem is not None:
        yield Finding(Kind.THRESHOLD, Level.PROBLEM, threshold.problem.text, threshold.problem.remedy)
    else:
        hours = f"{threshold.stale_after.total_seconds() / 3600:g} h"
        full_pass = f"each symbol is observed every {span_text(threshold.full_pass)} or sooner"
        yield Finding(Kind.THRESHOLD, Level.OK, f"stale after {hours}; {full_pass}")


def check_keys(settings: Settings, variables: Environment) -> Iterator[Finding]:
    """Yield whether there is each key, and whether it has the form of one. Only its length is shown."""
    names = [plan.name for plan in settings.plans]
    if only_follows(settings, variables):
        found = "not set: this machine can follow the fleet, and not collect for it"
        yield Finding(Kind.KEY, Level.NOTE, found, "set one for pipeline run or collect; pipeline follow needs none")
        return
    try:
        keys = api_keys(variables, settings)
    except SettingsError as error:
        is_set = any(key_variable(variables, name) for name in names)
        remedy = error.remedy if is_set else f"{error.remedy} ({FREE_KEY})"
        yield Finding(Kind.KEY, Level.PROBLEM, error.problem, remedy)
        return
    for key in keys:
        named = f"{key.name}: " if key.name else ""
        if form := unusual_form(key.secret):
            remedy = "copy it again from Alpha Vantage's mail or page, if requests are refused"
            yield Finding(Kind.KEY, Level.NOTE, f"{named}set: {form}", remedy)
        else:
            yield Finding(Kind.KEY, Level.OK, f"{named}set, {len(key.secret)} characters")
    if elsewhere := [name for name in names if name not in {key.name for key in keys}]:
        yield Finding(Kind.KEY, Level.OK, f"not held by this member of the fleet: {few(elsewhere)}")
    if unread := unread_keys(variables, names):
        remedy = "remove it, or configure a key of that name with [[keys]]"
        yield Finding(Kind.KEY, Level.NOTE, f"set, and not read: {few(unread)}", remedy)


def check_proxy(settings: Settings, variables: Environment) -> Iterator[Finding]:
    """Yield the proxy that requests go through, or that those of the environment are not used."""
    if settings.proxy is not None:
        yield Finding(Kind.PROXY, Level.OK, f"{settings.proxy}, for requests to the API")
        in_file = any(one.path == "source.proxy" and one.origin == str(settings.config) for one in settings.values)
        if settings.proxy.has_password and in_file:
            found = f"{settings.config} holds the password of the proxy"
            yield Finding(Kind.PROXY, Level.NOTE, found, f"set {variable_of('source.proxy')} in .env instead")
    elif ignored := ignored_proxies(variables.variables):
        verb = "is" if len(ignored) == 1 else "are"
        remedy = f"if only a proxy leads out, set source.proxy, or {variable_of('source.proxy')}, to it"
        yield Finding(Kind.PROXY, Level.NOTE, f"{' and '.join(ignored)} {verb} set, and not used", remedy)


def check_web(settings: Settings, variables: Environment) -> Iterator[Finding]:
    """Yield where the record is served and to whom, if anywhere, or why it could not be."""
    web = settings.web
    try:
        token = web_token(variables)
        if web.listen is not None:
            anonymous = web.allow_anonymous
            check_exposure(web.listen, has_token=token is not None, allow_anonymous=anonymous, setting="web.listen")
    except SettingsError as error:
        yield Finding(Kind.WEB, Level.PROBLEM, error.problem, error.remedy)
        return
    if web.listen is not None:
        who = "everybody who reaches it" if token is None else "those who have the token"
        yield Finding(Kind.WEB, Level.OK, f"{web.listen}, for {who}")


def check_notifications(variables: Environment) -> Iterator[Finding]:
    """Yield where problems are sent to, if anywhere, and which addresses the daemon could not use."""
    try:
        recipients, ping = read_recipients(notify_urls(variables)), ping_url(variables)
    except Trouble as error:
        remedy = error.remedy or "fix it, or remove the variable"
        yield Finding(Kind.NOTIFICATIONS, Level.PROBLEM, error.problem, remedy)
        return
    problems = [recipient.problem for recipient in recipients if recipient.problem is not None]
    for problem in problems:
        yield Finding(Kind.NOTIFICATIONS, Level.PROBLEM, problem.problem, problem.remedy)
    if not problems and (recipients or ping):
        found = f"{count(len(recipients), 'address', 'addresses')}, {'a' if ping else 'no'} ping"
        yield Finding(Kind.NOTIFICATIONS, Level.OK, found)
