"""`pipeline serve`: serve the record to browsers and programs until stopped."""

import asyncio
import signal
from datetime import datetime
from pathlib import Path

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import Instant, Options, examples, global_options, json_option
from pipeline.cli.output import print_json
from pipeline.cli.site import routes, site
from pipeline.instants import for_people, utc_now
from pipeline.monitoring.status import Scope
from pipeline.settings.addresses import Listen
from pipeline.settings.load import Settings
from pipeline.web.app import Probes
from pipeline.web.server import serving

DEFAULT_ADDRESS = "127.0.0.1:8080"


@click.command(epilog=examples("pipeline serve", "pipeline serve --listen 127.0.0.1:8000 --as-of 2026-03-14"))
@click.option("--listen", metavar="HOST:PORT", help=f"Address to listen on [web.listen, or {DEFAULT_ADDRESS}].")
@click.option(
    "--as-of",
    "lock",
    metavar="INSTANT",
    type=Instant(day_ends=True),
    help="Answer only what was known then: nothing observed later can be had.",
)
@json_option
@global_options
def command(options: Options, *, listen: str | None, lock: datetime | None, as_json: bool) -> None:
    """Serve the database, read-only: pages for people, JSON and the API's own shape for programs. Stop it with Ctrl-C.

    Every address exists twice: /companies is now, /as-of/2026-03-14/companies is what was known at the end of that day.
    """
    settings = load_settings(options)
    address = Listen.parse(listen) if listen else settings.web.listen or Listen.parse(DEFAULT_ADDRESS)
    run_async(_serve(settings, settings.database, address, lock, options, as_json=as_json))


async def _serve(
    settings: Settings, database: Path, address: Listen, lock: datetime | None, options: Options, *, as_json: bool
) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    scope = Scope(settings.all_symbols, settings.limits, settings.stale_after, settings.backup_after)
    served = site(database, scope, lock=lock, now=utc_now)
    probes = Probes(lambda: None, lambda: None, None)
    hosts = settings.web.allowed_hosts | settings.allowed_hosts
    try:
        async with serving(
            address.host, address.port, probes, allowed_hosts=hosts, site=served, routes=routes(), setting="--listen"
        ) as url:
            if as_json:
                print_json({"url": url})
            else:
                click.echo(url)
            what = "now, and as of any past instant" if lock is None else f"as of {for_people(lock)} UTC, and before"
            options.say(f"serving {database} {what}; stop with Ctrl-C")
            await stopped.wait()
    finally:
        await served.readers.close()
