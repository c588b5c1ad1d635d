"""`pipeline serve`: serve the record to browsers and programs until stopped."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.migration_progress import migration_progress
from pipeline.cli.options import Options, examples, json_option, reading_options
from pipeline.cli.output import print_json, print_line
from pipeline.cli.scope import scope_of
from pipeline.cli.signals import LAST_RESORT, stoppable
from pipeline.cli.site import Record, serving_site
from pipeline.cli.time_lock import TimeLock, time_lock_option
from pipeline.cli.verbosity import configure_logs
from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.settings.addresses import Listen
from pipeline.settings.errors import SettingsError
from pipeline.settings.exposure import check_exposure
from pipeline.settings.load import Settings
from pipeline.settings.secrets import redaction, web_token
from pipeline.store.migration_files import shipped_migrations
from pipeline.store.older_schema import migrated_copy
from pipeline.store.reader import open_any_version, open_for_reading
from pipeline.web.probes import probes_of_record

DEFAULT_ADDRESS = "127.0.0.1:8080"
_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - what is printed where it was configured


@click.command(epilog=examples("pipeline serve", "pipeline serve --listen 127.0.0.1:8000 --as-of 2026-03-14"))
@click.option("--listen", metavar="HOST:PORT", help=f"Address to listen on [web.listen, or {DEFAULT_ADDRESS}].")
@time_lock_option
@json_option
@reading_options
def command(options: Options, *, listen: str | None, lock: TimeLock | None, as_json: bool) -> None:
    """Serve the database, read-only: pages for people, JSON and the API's own shape for programs. Stop it with Ctrl-C.

    Every address exists twice: /companies is now, /as-of/2026-03-14/companies is what was known at the end of that day.
    """
    variables = read_environment()
    settings = load_settings(options, variables)
    configure_logs(options, redact=redaction(variables, settings.proxy))
    token = web_token(variables)
    address, setting = _address(listen, settings)
    check_exposure(address, has_token=token is not None, allow_anonymous=settings.web.allow_anonymous, setting=setting)
    with _readable(settings.database, options) as database:
        scope = scope_of(settings, variables)
        record = Record(database, lambda: scope, None if lock is None else lock.at, utc_now)
        what = "now, and as of any past instant" if lock is None else f"as of {lock}"
        run_async(_serve(record, settings, address, token, options, what=what, setting=setting, as_json=as_json))


def _address(listen: str | None, settings: Settings) -> tuple[Listen, str]:
    """Return where to listen, and what said so."""
    if listen is None and settings.web.listen is not None:
        return settings.web.listen, "web.listen"
    try:
        return Listen.parse(listen or DEFAULT_ADDRESS), "--listen"
    except SettingsError as error:
        raise click.BadParameter(str(error), click.get_current_context(), param_hint="--listen") from None


@contextmanager
def _readable(database: Path, options: Options) -> Iterator[Path]:
    """Yield the database, or with --migrate-copy a migrated copy of one whose schema is older.

    Raise NoData or DatabaseError if it cannot be read: later, what is wrong with it is answered, and may pass. An older
    one is not copied unasked, as other commands do: the copy would not show what is observed from now on.
    """
    if options.migrate_copy:
        with open_any_version(database) as (_, schema):
            is_older = 0 < schema.version < len(shipped_migrations())
        if is_older:
            options.say(f"serving a migrated copy of {database}, as it is now")
            with (
                migration_progress(options) as show,
                migrated_copy(database, now=utc_now(), on_progress=show) as copy,
            ):
                yield copy
            return
    with open_for_reading(database):
        pass
    yield database


async def _serve(
    record: Record,
    settings: Settings,
    address: Listen,
    token: str | None,
    options: Options,
    *,
    what: str,
    setting: str,
    as_json: bool,
) -> None:
    stopped = asyncio.Event()
    names = settings.web.allowed_hosts | settings.allowed_hosts
    with stoppable(stopped.set, last_resort=LAST_RESORT, exit_code=ExitCode.DONE):
        probes = probes_of_record(record.database, record.scope, lock=record.lock, now=record.now)
        async with serving_site(address, record, probes, allowed_hosts=names, token=token, setting=setting) as url:
            if as_json:
                print_json({"url": url})
            else:
                print_line(url)
            options.say(f"serving {record.database} {what}; stop with Ctrl-C")
            if address.host in _ALL_ADDRESSES:
                options.say("clients may use any address of this machine, or a name in web.allowed_hosts")
            await stopped.wait()
