"""Readers of short texts from outside: what each may raise, and a text that it takes."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from click import BadParameter, Command

from pipeline.cli.commands import as_of, changes
from pipeline.cli.options import Instant, Seconds, Whole
from pipeline.doctor.mounts import mount_of
from pipeline.instants import parse, parse_received
from pipeline.model.fields import FIELDS
from pipeline.model.symbols import parse_symbol
from pipeline.model.values import parse_value
from pipeline.monitoring.metrics import Metrics
from pipeline.quota.limits import Limit
from pipeline.schedule.cron import check_cron, check_timezone
from pipeline.settings.addresses import Listen
from pipeline.settings.api_keys import api_key
from pipeline.settings.environment import API_KEY, API_KEY_FILE, FLEET_URL, NOTIFY_URLS, PING_URL, Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import fleet_url, secrets_in_url
from pipeline.settings.proxies import Proxy, secrets_in
from pipeline.settings.secrets import notify_urls, ping_url
from pipeline.web.hosts import is_own_host
from tests.support.clocks import START
from tests.support.monitoring import EMPTY


class TextReader(NamedTuple):
    """A reader of text, the errors that it promises, and a sample."""

    read: Callable[[str], object]
    refusals: tuple[type[Exception], ...]
    sample: str


def convert(command: Command, option: str, text: str) -> object:
    """Return what a command makes of the text of an option."""
    (parameter,) = [one for one in command.params if one.name == option]
    return parameter.type.convert(text, parameter, None)


TEXT_READERS: Mapping[str, TextReader] = {
    "a timestamp of a question": TextReader(
        partial(parse, now=START, day_ends=True), (ValueError,), "2026-03-14T18:30Z"
    ),
    "a timestamp of an archive": TextReader(parse_received, (ValueError,), "2026-03-14T18:30:00.123456789Z"),
    "a symbol": TextReader(parse_symbol, (ValueError,), "BRK-B"),
    "a limit": TextReader(Limit.parse, (ValueError,), "25/day"),
    "a cron line": TextReader(check_cron, (ValueError,), "30 18 * * 1-5"),
    "a time zone": TextReader(check_timezone, (ValueError,), "America/New_York"),
    "an address to listen on": TextReader(Listen.parse, (SettingsError,), "[::1]:8080"),
    "a Host header": TextReader(lambda text: is_own_host(text, {"nas.lan"}), (), "[::1]:8080"),
    "an Accept header": TextReader(
        lambda text: Metrics().render(EMPTY, None, text), (), "application/openmetrics-text;q=0.5"
    ),
    "an option that is a time": TextReader(
        lambda text: Instant(day_ends=True).convert(text, None, None), (BadParameter,), "7d"
    ),
    "an option that is a number": TextReader(
        lambda text: Whole(1, 60_000).convert(text, None, None), (BadParameter,), "42"
    ),
    "--max-staleness": TextReader(partial(convert, as_of.command, "max_staleness"), (BadParameter,), "48"),
    "--min-change": TextReader(partial(convert, changes.command, "min_change"), (BadParameter,), "5%"),
    "an option that is a span": TextReader(lambda text: Seconds().convert(text, None, None), (BadParameter,), "1.5"),
    "a proxy": TextReader(Proxy.parse, (SettingsError,), "http://user:pass@proxy.example:3128"),
    "a secret in a proxy's address": TextReader(
        lambda text: list(secrets_in(text)), (), "http://user:pass%20word@proxy:3128"
    ),
    "the table of mounts": TextReader(
        partial(mount_of, Path("/data")), (), "36 35 98:0 / /da\\040ta rw - ext4 /dev/sda1 rw"
    ),
    "a key": TextReader(lambda text: api_key(Environment({API_KEY: text})), (SettingsError,), "S3CR3TK3YOFOURS1"),
    "a fleet's URL": TextReader(
        lambda text: fleet_url(Environment({FLEET_URL: text})),
        (SettingsError,),
        "postgresql://user:password@db.example:5432/fleet?sslmode=require",
    ),
    "a secret in a fleet's URL": TextReader(
        lambda text: list(secrets_in_url(text)), (), "postgresql://u:p@db/x?password=a%20b"
    ),
    "a key's file": TextReader(
        lambda text: api_key(Environment({API_KEY_FILE: text})), (SettingsError,), "/run/secrets/key"
    ),
    "addresses to notify": TextReader(
        lambda text: notify_urls(Environment({NOTIFY_URLS: text})), (SettingsError,), "ntfy://a/b c://d"
    ),
    "an address to ping": TextReader(
        lambda text: ping_url(Environment({PING_URL: text})), (SettingsError,), "https://hc.example/x"
    ),
    **{f"{field.name} of an overview": TextReader(partial(parse_value, field), (), "1.5") for field in FIELDS.values()},
}
