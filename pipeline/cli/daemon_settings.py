"""Everything a daemon is configured with: read at start, and read again on SIGHUP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pipeline.cli.api_source import sandbox_keys, sandbox_settings, source
from pipeline.cli.configuration import load_silently, notices, read_environment
from pipeline.cli.options import Options
from pipeline.cli.scope import scope_of
from pipeline.daemon.config import DaemonConfig
from pipeline.monitoring.status import Scope
from pipeline.quota.keys import ApiKey
from pipeline.redaction import Redaction
from pipeline.settings.api_keys import api_keys
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.exposure import check_exposure
from pipeline.settings.fleet import needed_fleet_url
from pipeline.settings.load import Settings
from pipeline.settings.near_misses import no_symbols
from pipeline.settings.secrets import notify_urls, ping_url, redaction, web_token

_NAMED = 20
"""How many added or removed symbols a log line names."""


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """The settings, and the secrets that go with them."""

    settings: Settings
    keys: tuple[ApiKey, ...] = field(repr=False)
    notify: tuple[str, ...] = field(repr=False)
    ping: str | None = field(repr=False)
    token: str | None = field(repr=False)
    fleet_url: str | None = field(repr=False)
    scope: Scope
    """What the status covers."""
    redaction: Redaction

    @classmethod
    def read(cls, settings: Settings, variables: Environment, options: Options, *, sandbox: bool) -> "DaemonSettings":
        """Return them for these settings.

        Raise SettingsError for a missing key, a schedule without symbols, or a site that nothing protects.
        """
        if sandbox:
            settings = sandbox_settings(settings, options.database)
        fleet_url = None if settings.fleet is None else needed_fleet_url(variables)
        for schedule in settings.schedules:
            if not (schedule.symbols or settings.symbols):
                remedy = "list them under [symbols] in the file that pipeline init creates"
                raise no_symbols(variables, remedy)
        sandboxed = "pipeline run --sandbox"
        keys = sandbox_keys(settings) if sandbox else api_keys(variables, settings, sandboxed=sandboxed)
        token = _token(settings, variables)
        hidden = redaction(variables, settings.proxy)
        scope = scope_of(settings, variables)
        return cls(settings, keys, notify_urls(variables), ping_url(variables), token, fleet_url, scope, hidden)

    @property
    def database(self) -> Path:
        return self.settings.database

    def config(self, base_url: str) -> DaemonConfig:
        """Return what the daemon collects, from the API at this URL."""
        settings = self.settings
        return DaemonConfig(
            source(settings, base_url, self.keys),
            settings.symbols,
            settings.schedules,
            settings.resume,
            settings.outcomes_kept,
            settings.fresh_for,
            settings.listed,
            settings.configured_renames,
            settings.next_rename,
            self.scope,
            settings.plans,
        )


class Reload:
    """Reads the configuration again, logs what changed, and applies it to logs."""

    def __init__(
        self,
        options: Options,
        first: DaemonSettings,
        set_up_logs: Callable[..., None],
        *,
        sandbox_url: str | None,
    ) -> None:
        self._options = options
        self._current = first
        self._set_up_logs = set_up_logs
        self._redaction = first.redaction
        self._sandbox_url = sandbox_url

    def __call__(self) -> DaemonConfig:
        """Return what the daemon is to collect. Raise SettingsError if the configuration is invalid."""
        variables = read_environment()
        settings = load_silently(self._options, variables)
        if settings.config is None and self._current.settings.config is not None:
            raise SettingsError(f"{self._current.settings.config} is gone", remedy="put it back")
        new = DaemonSettings.read(settings, variables, self._options, sandbox=self._sandbox_url is not None)
        self._redaction |= new.redaction  # a run in progress still uses the previous secrets
        self._set_up_logs(redact=self._redaction)
        log_notices(settings, variables)
        log = structlog.get_logger()
        for change in _changes(self._current, new):
            log.info("configuration changed", **change)
        if _fixed(new) != _fixed(self._current):
            log.warning(
                "restart needed: database, fleet, status.listen, allowed_hosts, web, notifications or pings changed"
            )
        if self._sandbox_url is not None and new.settings.plans != self._current.settings.plans:
            log.warning("restart needed: the sandbox keeps the limits it started with")
        self._current = new
        return new.config(self._sandbox_url or settings.base_url)


def log_notices(settings: Settings, variables: Environment) -> None:
    """Log what was ignored or adjusted in the configuration."""
    for notice in notices(settings, variables):
        structlog.get_logger().warning(notice)


def _changes(old: DaemonSettings, new: DaemonSettings) -> Iterator[dict[str, object]]:
    """Yield what differs, as facts for the log; of the key only that it does."""
    before = {one.path: one.value for one in old.settings.values}
    after = {one.path: one.value for one in new.settings.values}
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield {"key": path, "before": before.get(path), "after": after.get(path)}
    had, has = set(old.settings.all_symbols), set(new.settings.all_symbols)
    if had != has:
        yield {"symbols": len(has), "added": sorted(has - had)[:_NAMED], "removed": sorted(had - has)[:_NAMED]}
    if [key.id for key in old.keys] != [key.id for key in new.keys]:
        yield {"api_key": "changed"}
    if old.token != new.token:
        yield {"web_token": "changed"}
    if old.settings.proxy != new.settings.proxy and str(old.settings.proxy) == str(new.settings.proxy):
        yield {"source.proxy": "user or password changed"}


def _fixed(configured: DaemonSettings) -> tuple[object, ...]:
    """Return what only a restart can change."""
    settings = configured.settings
    served = settings.listen, settings.allowed_hosts, settings.web, configured.token
    fleet = settings.fleet, configured.fleet_url
    return configured.database, served, configured.notify, configured.ping, fleet


def _token(settings: Settings, variables: Environment) -> str | None:
    """Return the token of the site. Raise SettingsError if it is invalid, or there is none where one is needed."""
    token, web = web_token(variables), settings.web
    if web.listen is not None:
        anonymous = web.allow_anonymous
        check_exposure(web.listen, has_token=token is not None, allow_anonymous=anonymous, setting="web.listen")
    return token
