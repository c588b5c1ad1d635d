"""`pipeline run`: the daemon."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import structlog

from pipeline import __version__
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import Options, global_options
from pipeline.cli.signals import reloadable, stoppable
from pipeline.cli.source import EXAMPLE_SYMBOLS, SANDBOX_KEY, sandbox_database, serve_sandbox
from pipeline.cli.verbosity import configure_logs
from pipeline.collect.order import Source
from pipeline.daemon.loop import Daemon, DaemonConfig
from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.reporter import Reporter
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.settings.environment import Environment, misspelt_variables
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings, load
from pipeline.settings.secrets import api_key, notify_urls, ping_url
from pipeline.store.database import DatabaseError, refuse_foreign
from pipeline.store.lock import hold_daemon_lock
from pipeline.web.app import Probes, monitor

_LAST_RESORT = 7.0
"""Seconds after the first signal at which the process ends, whatever hangs. Docker kills after 10."""
_NAMED = 20


@click.command(
    epilog="Examples: pipeline run; pipeline run --sandbox; PIPELINE_STATUS__LISTEN=127.0.0.1:8080 pipeline run"
)
@click.option("--sandbox", is_flag=True, help="Ask the stand-in API, into sandbox.db beside the database.")
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines on a terminal too.")
@global_options
@click.pass_context
def command(ctx: click.Context, options: Options, *, sandbox: bool, as_json: bool) -> None:
    """Collect on schedule, until stopped: SIGTERM or Ctrl-C end it in order, within 8 s.

    Every fire time of the schedules becomes a row of `pipeline runs`: run, or missed, and why. The newest one missed
    within catch_up_hours is run at once. SIGHUP reads configuration, symbols and key again.
    """
    variables = read_environment()
    first = _read(variables, load_settings(options, variables), sandbox=sandbox)
    if first.settings.config is None:
        options.say(f"no configuration file: defaults are used, and the database is {first.database}")
    log_to = partial(configure_logs, options, unattended=True, for_programs=as_json)
    log_to(secrets=first.secrets)
    refuse_foreign(first.database)
    run_async(_serve(options, first, log_to, sandbox=sandbox))
    ctx.exit(ExitCode.DONE)


@dataclass(frozen=True, slots=True)
class _Configuration:
    """What was configured, and the secrets that go with it."""

    settings: Settings
    key: str
    notify: tuple[str, ...]
    ping: str | None
    database: Path

    @property
    def secrets(self) -> list[str]:
        key = [] if self.key == SANDBOX_KEY else [self.key]
        return [*key, *self.notify, *([self.ping] if self.ping else [])]

    def config(self, base_url: str) -> DaemonConfig:
        """Return what the daemon is to do, asking at this address."""
        settings = self.settings
        source = Source(
            base_url,
            self.key,
            settings.limits,
            settings.concurrency,
            settings.timeout,
            settings.wait,
            settings.attempts,
        )
        return DaemonConfig(source, settings.symbols, settings.schedules, settings.resume, settings.outcomes_kept)

    def scope(self) -> Scope:
        """Return what the status covers."""
        return Scope(self.settings.all_symbols, self.settings.limits, self.settings.stale_after)


def _read(variables: Environment, settings: Settings, *, sandbox: bool) -> _Configuration:
    if sandbox and not settings.all_symbols:
        settings = replace(settings, symbols=EXAMPLE_SYMBOLS)
    for schedule in settings.schedules:
        if not (schedule.symbols or settings.symbols):
            raise SettingsError("no symbols: list them in the file of pipeline init, under [symbols]")
    return _Configuration(
        settings,
        SANDBOX_KEY if sandbox else api_key(variables),
        notify_urls(variables),
        ping_url(variables),
        sandbox_database(settings.database) if sandbox else settings.database,
    )


async def _serve(options: Options, first: _Configuration, log_to: Callable[..., None], *, sandbox: bool) -> None:
    """Be the daemon of the database until a signal ends it."""
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_daemon_lock(first.database, now=utc_now()))
        base_url = first.settings.base_url
        if sandbox:
            base_url = await stack.enter_async_context(serve_sandbox(first.settings, now=utc_now))
        reporter = Reporter(
            first.database,
            first.scope(),
            metrics=(metrics := Metrics()),
            notifier=_notifier(first.notify),
            ping=Ping(first.ping),
        )
        stack.push_async_callback(reporter.close)
        reread = _Reread(options, first, reporter, log_to, base_url if sandbox else None)
        daemon = Daemon(first.database, first.config(base_url), reload_config=reread, reporter=reporter)

        def stop() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a storm of them would take the time that is left
            daemon.stop()

        stack.enter_context(stoppable(stop, last_resort=_LAST_RESORT, exit_code=ExitCode.DONE))
        stack.enter_context(reloadable(daemon.reload))
        listen = first.settings.listen
        if listen is not None:
            answers = _answers(daemon, reporter, metrics, first.database)
            address = await stack.enter_async_context(monitor(listen.host, listen.port, answers))
            structlog.get_logger().info("listening", address=address)
        structlog.get_logger().info("the daemon has started", version=__version__, database=str(first.database))
        await daemon.run()
    structlog.get_logger().info("the daemon has ended")


class _Reread:
    """Reads the configuration again, as SIGHUP asks for."""

    def __init__(
        self,
        options: Options,
        first: _Configuration,
        reporter: Reporter,
        log_to: Callable[..., None],
        base_url: str | None,
    ) -> None:
        self._options = options
        self._log_to = log_to
        self._current = first
        self._secrets = set(first.secrets)
        self._reporter = reporter
        self._base_url = base_url
        """The sandbox's, which stays."""

    def __call__(self) -> DaemonConfig:
        """Return what is to be done from now on. Raise SettingsError if the configuration is wrong."""
        variables = read_environment()
        settings = load(self._options.config, variables, database=self._options.database)
        if settings.config is None and self._current.settings.config is not None:
            raise SettingsError(f"{self._current.settings.config} is gone: put it back")
        new = _read(variables, settings, sandbox=self._base_url is not None)
        self._secrets |= set(new.secrets)  # a run under way uses the one before
        self._log_to(secrets=self._secrets)
        log = structlog.get_logger()
        for notice in (*variables.problems, *misspelt_variables(variables.variables), *settings.notices):
            log.warning(notice)
        for change in _changes(self._current, new):
            log.info("the configuration has changed", **change)
        if _fixed(new) != _fixed(self._current):
            log.warning("database, status.listen, notifications and pings change with a restart only")
        if self._base_url is not None and settings.limits != self._current.settings.limits:
            log.warning("the stand-in API keeps to the plan it began with: start anew for another")
        self._current = new
        self._reporter.scope = new.scope()
        return new.config(self._base_url or settings.base_url)


def _changes(old: _Configuration, new: _Configuration) -> Iterator[dict[str, object]]:
    """Yield what differs, for the log: of the key only that it does."""
    before = {one.path: one.value for one in old.settings.values}
    after = {one.path: one.value for one in new.settings.values}
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield {"key": path, "before": before.get(path), "after": after.get(path)}
    had, has = set(old.settings.all_symbols), set(new.settings.all_symbols)
    if had != has:
        yield {"symbols": len(has), "added": sorted(has - had)[:_NAMED], "removed": sorted(had - has)[:_NAMED]}
    if old.key != new.key:
        yield {"api_key": "another"}


def _fixed(configuration: _Configuration) -> tuple[object, ...]:
    return configuration.database, configuration.settings.listen, configuration.notify, configuration.ping


def _notifier(urls: tuple[str, ...]) -> Notifier:
    notifier = Notifier(urls)
    for line in notifier.refused:
        structlog.get_logger().warning(line)
    return notifier


def _answers(daemon: Daemon, reporter: Reporter, metrics: Metrics, database: Path) -> Probes:
    """Return what the HTTP endpoints answer."""

    def read() -> Status | None:
        with suppress(DatabaseError):
            return read_status(database, reporter.scope, now=utc_now())
        return None

    async def exposition(accept: str) -> tuple[str, bytes]:
        return metrics.render(await asyncio.to_thread(read), daemon.last_heartbeat, accept)

    return Probes(daemon.why_unhealthy, daemon.why_not_ready, exposition)
