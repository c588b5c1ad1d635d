"""`pipeline run`: the daemon, from its lock to its HTTP endpoints, until a signal stops it."""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import structlog

from pipeline import __version__, extras
from pipeline.cli.api_source import refuse_mixing, serve_sandbox
from pipeline.cli.configuration import load_silently, read_environment
from pipeline.cli.daemon_settings import DaemonSettings, Reload, log_notices
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import when_to_begin
from pipeline.cli.fleet_conflicts import refuse_other_record
from pipeline.cli.options import Options, examples, global_options, new_record_option
from pipeline.cli.signals import LAST_RESORT, reloadable, stoppable
from pipeline.cli.verbosity import configure_logs, fatal_errors_logged
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.loop import Daemon
from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.recipients import read_recipients
from pipeline.monitoring.reporter import Reporter
from pipeline.monitoring.status import Status, read_status
from pipeline.settings.secrets import redaction
from pipeline.store.database import DatabaseError, refuse_foreign
from pipeline.store.lock import hold_daemon_lock
from pipeline.store.record import Begin
from pipeline.web.probes import Probes
from pipeline.web.refusals import named_alone

if TYPE_CHECKING:  # an extra
    from pipeline.daemon.member import Member


@click.command(
    epilog=examples("pipeline run", "pipeline run --sandbox", "PIPELINE_STATUS__LISTEN=127.0.0.1:8080 pipeline run")
)
@click.option(
    "--sandbox",
    is_flag=True,
    help="Use a simulated API, and sandbox.db beside the database unless --database names one; needs no key.",
)
@new_record_option
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines, on a terminal too.")
@global_options
def command(options: Options, *, sandbox: bool, new_record: bool, as_json: bool) -> None:
    """Collect on schedule until stopped. SIGTERM or Ctrl-C stops it cleanly within 8 s.

    Every scheduled time becomes a row of `pipeline runs`: run, or missed and why. If the newest one was missed within
    catch_up_hours, it runs at once. SIGHUP reloads configuration, symbols and key. In a fleet, this machine and the
    others do that together.
    """
    begin = when_to_begin(new_record=new_record, sandbox=sandbox)
    set_up_logs = partial(configure_logs, options, unattended=True, for_programs=as_json)
    variables = read_environment()
    set_up_logs(redact=redaction(variables))
    with fatal_errors_logged(for_programs=as_json):
        settings = load_silently(options, variables)
        first = DaemonSettings.read(settings, variables, options, sandbox=sandbox)
        if first.settings.fleet is not None:
            _member_class()
        set_up_logs(redact=first.redaction)
        log_notices(settings, variables)
        if settings.config is None:
            structlog.get_logger().info("no configuration file: using defaults", database=str(first.database))
        refuse_foreign(first.database)
        refuse_other_record(first.database, first.settings.fleet)
        refuse_mixing(first.database, settings.base_url, sandbox=sandbox)
        run_async(_serve(options, first, set_up_logs, begin=begin, sandbox=sandbox))


async def _serve(
    options: Options, first: DaemonSettings, set_up_logs: Callable[..., None], *, begin: Begin, sandbox: bool
) -> None:
    """Run the daemon until a signal stops it."""
    log = structlog.get_logger()
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_daemon_lock(first.database, now=utc_now()))
        sandbox_url = None
        if sandbox:
            sandbox_url = await stack.enter_async_context(serve_sandbox(first.settings, now=utc_now))
        reporter = Reporter(
            first.database,
            first.scope,
            metrics=(metrics := Metrics()),
            notifier=_notifier(first),
            ping=Ping(first.ping),
        )
        stack.push_async_callback(reporter.close)
        config = first.config(sandbox_url or first.settings.base_url)
        reload = Reload(options, first, set_up_logs, sandbox_url=sandbox_url)
        daemon = _daemon(first, config, reload_config=reload, reporter=reporter, begin=begin)

        def stop() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # handling a flood of them would use up the time left
            daemon.stop()

        stack.enter_context(stoppable(stop, last_resort=LAST_RESORT, exit_code=ExitCode.DONE))
        stack.enter_context(reloadable(daemon.reload))
        await _listen(stack, first, _probes(daemon, reporter, metrics, first.database), daemon, reporter)
        log.info("daemon started", version=__version__, database=str(first.database), **_membership(first))
        await daemon.run()
    log.info("daemon ended")


def _membership(first: DaemonSettings) -> dict[str, str]:
    """Return what this machine is called in its fleet, and where that is, for the log; nothing without a fleet."""
    if first.settings.fleet is None or first.fleet_url is None:
        return {}
    with extras.fleet():
        from pipeline.fleet.connection import place  # noqa: PLC0415 - an extra
    return {"member": first.settings.fleet.name, "fleet": place(first.fleet_url)}


def _daemon(
    first: DaemonSettings, config: DaemonConfig, *, reload_config: Reload, reporter: Reporter, begin: Begin
) -> "Daemon | Member":
    """Return the daemon of a machine that collects for itself, or what takes its place in a fleet."""
    fleet, url = first.settings.fleet, first.fleet_url
    if fleet is None or url is None:
        return Daemon(first.database, config, reload_config=reload_config, reporter=reporter, begin=begin)
    return _member_class()(
        first.database,
        config,
        url=url,
        name=fleet.name,
        reload_config=reload_config,
        reporter=reporter,
        begin=begin,
    )


def _member_class() -> "type[Member]":
    """Return the class of a fleet's members. Raise Missing if the extra is not installed."""
    with extras.fleet():
        from pipeline.daemon.member import Member  # noqa: PLC0415 - an extra
    return Member


async def _listen(
    stack: AsyncExitStack, first: DaemonSettings, probes: Probes, daemon: "Daemon | Member", reporter: Reporter
) -> None:
    """Answer probes at the one address and the site at the other, where they are configured, until the stack ends."""
    log, settings, web = structlog.get_logger(), first.settings, first.settings.web
    if settings.listen is not None and settings.listen != web.listen:
        from pipeline.web.server import serving  # noqa: PLC0415 - what serves takes long to import

        listening = serving(settings.listen.host, settings.listen.port, probes, allowed_hosts=settings.allowed_hosts)
        log.info("listening", address=await stack.enter_async_context(listening))
    if web.read_through and web.listen is None:
        log.warning("web.read_through does nothing: web.listen is not set")
    if web.listen is not None:
        from pipeline.cli.site import Record, serving_site  # noqa: PLC0415 - only [web] listen needs it

        read_through = daemon.on_demand.collect if web.read_through else None

        def is_collecting() -> bool:
            return daemon.status.active_run is not None

        record = Record(first.database, lambda: reporter.scope, None, utc_now, read_through, is_collecting)
        names = web.allowed_hosts | settings.allowed_hosts
        site = serving_site(web.listen, record, probes, allowed_hosts=names, token=first.token)
        log.info("serving", address=await stack.enter_async_context(site))


def _notifier(settings: DaemonSettings) -> Notifier:
    recipients = read_recipients(settings.notify)
    for recipient in recipients:
        if recipient.problem is not None:
            structlog.get_logger().error(str(recipient.problem))
    return Notifier(recipients, Sender(socket.gethostname(), settings.database))


def _probes(daemon: "Daemon | Member", reporter: Reporter, metrics: Metrics, database: Path) -> Probes:
    """Return what the HTTP endpoints answer with."""

    def read() -> Status | None:
        with suppress(DatabaseError):
            return read_status(database, reporter.scope, now=utc_now())
        return None

    async def exposition(accept: str) -> tuple[str, bytes]:
        return metrics.render(await asyncio.to_thread(read), daemon.status.heartbeat, accept)

    async def ready() -> str | None:
        why = daemon.why_not_ready()
        return None if why is None else named_alone(why, database)

    return Probes(daemon.status.why_unhealthy, ready, exposition)
