"""`pipeline notify`: where notifications go, and with --test whether they arrive."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

import click

from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, print_table
from pipeline.errors import ExitCode
from pipeline.monitoring.conditions import Severity
from pipeline.monitoring.messages import Message
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.recipients import Recipient, read_recipients
from pipeline.settings.environment import NOTIFY_URLS, PING_URL
from pipeline.settings.errors import SettingsError
from pipeline.settings.secrets import notify_urls, ping_url

_TEST = Message("Test", "This is a test: notifications reach you. Nothing is wrong.", Severity.INFO)


@click.command(epilog=examples("pipeline notify", "pipeline notify --test"))
@click.option("--test", "is_test", is_flag=True, help="Send a test message to each address.")
@json_option
@global_options
def command(options: Options, *, is_test: bool, as_json: bool) -> int:
    """List the addresses that notifications go to, by service and host: the addresses themselves are secrets.

    Exits with 3 if there is none or one cannot be used, with 1 if one did not accept the test message.
    """
    variables = read_environment()
    settings = load_settings(options, variables)
    recipients = read_recipients(notify_urls(variables))
    ping = ping_url(variables)
    if not recipients:
        raise SettingsError("no notification addresses", remedy=f"set {NOTIFY_URLS}, or write it into .env")
    reasons: Mapping[int, str | None] = {}
    if is_test:
        notifier = Notifier(recipients, Sender(socket.gethostname(), settings.database))
        reasons = run_async(notifier.try_each(_TEST))
    tried = [_tried(recipient, reasons) for recipient in recipients]
    _print(tried, options, as_json=as_json)
    if ping is not None:
        options.say(f"{PING_URL} is set, and not tried: a ping would be taken for a run's")
    return _exit_code(tried)


class _Result(StrEnum):
    SENT = "sent"
    FAILED = "failed"
    INVALID = "invalid"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class _Tried:
    """An address, and what came of the test: a row of the table, an object of the JSON."""

    number: int
    service: str
    host: str | None
    result: _Result
    detail: str | None


def _tried(recipient: Recipient, reasons: Mapping[int, str | None]) -> _Tried:
    """Return what came of a recipient; `reasons` has why it did not accept the test, None if it did."""
    detail = reasons.get(recipient.number)
    if recipient.problem is not None:
        result, detail = _Result.INVALID, f"apprise does not accept it: {recipient.problem.remedy}"
    elif recipient.number not in reasons:
        result = _Result.NOT_TRIED
    else:
        result = _Result.SENT if detail is None else _Result.FAILED
    return _Tried(recipient.number, recipient.service or recipient.scheme, recipient.host, result, detail)


def _print(tried: Sequence[_Tried], options: Options, *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in tried])
    elif options.quiet:
        for one in tried:
            if one.result in (_Result.FAILED, _Result.INVALID):
                options.error(f"address {one.number} ({one.service}): {one.result}: {one.detail}")
    else:
        names = [field.name for field in fields(_Tried)]
        print_table(names, [[getattr(one, name) for name in names] for one in tried])


def _exit_code(tried: Sequence[_Tried]) -> int:
    results = {one.result for one in tried}
    if _Result.INVALID in results:
        return ExitCode.REFUSED
    return ExitCode.FAILED if _Result.FAILED in results else ExitCode.DONE
