"""Decoders of short texts: arguments, variables, headers, schedules, cursors, and what a fleet's PostgreSQL holds."""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import islice

import pytest

from pipeline.agents.paging import Cursor
from pipeline.agents.refusals import BadCall
from pipeline.daemon import systemd
from pipeline.errors import Undecodable
from pipeline.instants import from_text, parse_received, to_text
from pipeline.json_text import encode_json
from pipeline.model.fields import FIELDS
from pipeline.model.symbols import parse_symbol
from pipeline.model.values import format_value, is_valid, parse_value
from pipeline.quota.limits import Limit
from pipeline.redaction import Redaction
from pipeline.rest.formats import Format, accepted
from pipeline.schedule.cron import Schedule, check_cron, past_fire_times
from pipeline.store.log_place import Followed
from pipeline.web.refusals import Refusal
from tests.support.clocks import START
from tests.support.commands import KEY
from tests.support.text_readers import TEXT_READERS
from tests.torture.decoder import Decoder, Wrong, shows_key, text_of

_redaction = Redaction([KEY])


def _short(name: str) -> Decoder:
    reader = TEXT_READERS[name]
    return Decoder(name, lambda content: reader.read(text_of(content)), reader.refusals, (reader.sample.encode(),))


def _symbol(content: bytes) -> None:
    symbol = parse_symbol(text_of(content))
    if parse_symbol(symbol) != symbol:
        raise Wrong(f"the symbol {symbol!r} is another one when read again")


def _fields(content: bytes) -> None:
    text = text_of(content)
    for field in {one.kind: one for one in FIELDS.values()}.values():
        value = parse_value(field, text)
        if repr(parse_value(field, format_value(field, value))) != repr(value):
            raise Wrong(f"{field.name}: {value!r} is another value when read again")
        is_valid(field, text)


def _limit(content: bytes) -> None:
    limit = Limit.parse(text_of(content))
    if Limit.parse(str(limit)) != limit:
        raise Wrong(f"the limit {limit} is another one when read again")


def _instant(content: bytes) -> None:
    instant = parse_received(text_of(content))
    written = to_text(instant)
    if to_text(from_text(written)) != written:
        raise Wrong(f"the instant {written} is another one when read again")


def _stored_instant(content: bytes) -> None:
    if from_text(text_of(content)).tzinfo is None:
        raise Wrong("an instant without a zone")


def _cron(content: bytes) -> None:
    line = text_of(content)
    check_cron(line)
    schedule = Schedule(line, "Europe/Berlin", timedelta(hours=12))
    times = list(islice(schedule.fire_times(START), 3))
    if not times or sorted({*times}) != times or times[0] <= START:
        raise Wrong(f"it fires at {times}")
    past_fire_times(schedule, since=START - timedelta(days=3), now=START)


def _redact(content: bytes) -> None:
    text = content.decode(errors="replace")
    if shows_key(_redaction(text)):
        raise Wrong(f"the key is left: {_redaction(text)[:200]!r}")
    if KEY.encode() in content and not _redaction.finds_key(content):
        raise Wrong("the key is not found")


def _watchdog(content: bytes) -> None:
    text = text_of(content.replace(b"\0", b""))  # which no variable can hold
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WATCHDOG_PID", raising=False)
        patch.setenv("WATCHDOG_USEC", text)
        period = systemd.watchdog_period()
    if period is not None and period <= timedelta():
        raise Wrong(f"a watchdog every {period}")


def _cursor(content: bytes) -> None:
    text = text_of(content)
    cursor = Cursor.parse(text, 7)
    if Cursor.parse(str(cursor), 7) != cursor:
        raise Wrong(f"the cursor {cursor} is another one when read again")


def _accept(content: bytes) -> None:
    accepted(text_of(content), tuple(Format))


def decoders() -> tuple[Decoder, ...]:
    """Return the decoders of short texts."""
    invalid: tuple[type[Exception], ...] = (ValueError,)
    key = KEY.encode()
    return (
        *(_short(name) for name in TEXT_READERS if name not in _WITH_MORE and not name.endswith(" of an overview")),
        Decoder("fields", _fields, (), (b"1.10", b"None", b"2026-03-31", b"Common Stock", b"-99999.99", b"1e-7")),
        Decoder("symbols", _symbol, invalid, (b"BRK-B", b"0700.HK")),
        Decoder("limits", _limit, invalid, (b"25/day", b"75/minute", b"1/12h")),
        Decoder("timestamps of archives", _instant, invalid, (b"2026-03-14T18:30:00.123456789+01:00",)),
        Decoder("stored instants", _stored_instant, (Undecodable,), (b"2026-03-14T18:30:00.000Z",)),
        Decoder("cron lines", _cron, invalid, (b"30 18 * * 1-5", b"@daily", b"*/15 0 1,2 jan-mar mon#1")),
        Decoder("what may hold the key", _redact, (), (b"a=%41 \\u0041 &#65; \\x41" + key, b"x" + key[:9] + b"y")),
        Decoder("watchdogs of systemd", _watchdog, (), (b"30000000", b"0")),
        Decoder("cursors", _cursor, (BadCall,), (str(Cursor(10, START, START, 7)).encode(),)),
        Decoder("Accept headers", _accept, (Refusal,), (b"text/csv;q=0.5, */*;q=0", b"application/json")),
        *_fleet(),
    )


_WITH_MORE = ("a symbol", "a limit", "a timestamp of an archive", "a cron line")
"""Readers of which more is checked here."""


def _fleet() -> tuple[Decoder, ...]:
    """Return the decoders of a fleet, where psycopg is installed."""
    if find_spec("psycopg") is None:
        return ()
    from pipeline.fleet.agreement import Agreement  # noqa: PLC0415 - needs the extra fleet
    from pipeline.fleet.entries import LogError, decode, document_digest, document_text  # noqa: PLC0415
    from pipeline.fleet.follow import chunk_of  # noqa: PLC0415
    from tests.outside.test_fleet_texts import AGREED, BODIES  # noqa: PLC0415

    at = datetime(2026, 3, 14, tzinfo=UTC)
    ours = Agreement.from_text(AGREED)

    def stored(content: bytes) -> str:
        return content.decode(errors="replace").replace("\0", "")  # what PostgreSQL can hold

    def entry(content: bytes) -> None:
        kind, _, body = stored(content).partition("\n")
        row = (7, kind, at, "IBM", 1, 1, True, body)
        found = decode(row)
        chunk_of([row], Followed("a fleet", 1, 6))
        document = getattr(found, "document", None)
        if document is not None:
            again = decode((7, kind, at, "IBM", 1, 1, True, document_text(document)))
            if encode_json(getattr(again, "document", None)) != encode_json(document):
                raise Wrong("another document comes back")
            document_digest(document)

    def agreement(content: bytes) -> None:
        theirs = Agreement.from_text(stored(content))
        ours.difference(theirs)
        ours.addition_to(theirs)
        if Agreement.from_text(theirs.to_text()).to_text() != theirs.to_text():
            raise Wrong("another agreement comes back")

    seeds = tuple(f"{kind}\n{body}".encode() for kind, body in BODIES.items())
    return (
        Decoder("entries of a fleet's log", entry, (LogError,), seeds),
        Decoder("agreements of a fleet", agreement, (Undecodable,), (AGREED.encode(),)),
    )
