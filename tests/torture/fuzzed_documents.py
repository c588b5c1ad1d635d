"""Decoders of documents: answers of the API, and the same as databases, archives and fleets keep them."""

import asyncio
import itertools
import json
import shutil
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from multidict import CIMultiDict, CIMultiDictProxy

from pipeline.agents.arguments import read_arguments
from pipeline.agents.overview import OverviewArguments
from pipeline.agents.refusals import BadCall
from pipeline.api.errors import ApiError, NotJson
from pipeline.api.responses import read_response, strict_json
from pipeline.api.server_time import dates
from pipeline.decoding import decode_object, decoder
from pipeline.errors import Undecodable
from pipeline.json_text import encode_json, plain, sorted_json, spaced_json
from pipeline.model.changes import differences, first_differences, relative_change
from pipeline.model.document import Document, Overview, as_sent, join_document, split_document

from pipeline.model.document import same_document, version_of  # isort: skip
from pipeline.model.symbols import Symbol
from pipeline.query.documents import stored_document
from pipeline.query.history import History
from pipeline.redaction import Redaction
from pipeline.store.reader import open_for_reading
from pipeline.text import ascii_json, printable_json
from pipeline.transfer.export import Selection, originals
from tests.support.clocks import START
from tests.support.commands import KEY
from tests.support.documents import compared, tokens
from tests.support.observations import Observed, empty_database, store_observations
from tests.support.recordings import ERRORS, RECORDINGS, recorded
from tests.torture.decoder import Decoder, Wrong, scratch, shows_key

IBM = Symbol("IBM")
ANSWER = (
    b'{"Symbol": "IBM", "AssetType": "Common Stock", "Name": "Int\\u0065rnational \\"B\\" \\/ \xc3\xa9", "EPS": "1.10",'
    b' "PERatio": 1.10, "Beta": -0, "EBITDA": 1e2, "DividendYield": "None", "MarketCapitalization": "123456789012",'
    b' "LatestQuarter": "2026-03-31", "Other": [1.0, {"a": null, "b": [true, 12345678901234567890.5]}]}'
)
_USUAL = b'{"Symbol": "IBM", "Name": "x", "EPS": "1.5", "PERatio": "37.18", "Beta": "-0.5", "52WeekHigh": "1E5"}'
_REFUSALS = (
    b'{"Information": "We have detected your API key as ' + KEY.encode() + b" and our standard API rate limit is 25 "
    b'requests per day. 5 calls per minute and 500 calls per day"}',
    b'{"Note": "Thank you! apikey=' + KEY.encode() + b' higher API call frequency"}',
    b'{"Error Message": "Invalid API call."}', b"{}", b"<html>", b'{"Symbol": "' + KEY.encode() + b'"}',
    b'{"Symbol": "IBM", "New": NaN}',
)  # fmt: skip
_DATE = b"Sat, 14 Mar 2026 18:30:00 GMT"
_STATUSES = (200, 200, 200, 400, 401, 429, 503, 999)
_redaction = Redaction([KEY])


def _answer(content: bytes) -> None:
    status = _STATUSES[len(content) % len(_STATUSES)]
    for one in {200, status}:
        try:
            overview = read_response(IBM, one, {}, content, redact=_redaction)
        except ApiError as error:
            if shows_key(str(error)):
                raise Wrong(f"an error with the key: {str(error)[:300]!r}") from None
            continue
        _check_kept(overview, content)


def _check_kept(overview: Overview, content: bytes) -> None:
    """Raise Wrong unless what is kept of an overview gives back each of its values, by every way."""
    parts = split_document(overview)
    again = join_document(IBM, parts)
    sent = as_sent(again)
    expected = tokens(content)
    for text in (sent, spaced_json(again), encode_json(again).decode(), ascii_json(spaced_json(again))):
        if repr(tokens(text)) != repr(expected):
            raise Wrong(f"another document comes back: {text[:150]!r}")
    if not same_document(version_of(parts), version_of(split_document(Overview(IBM, strict_json(sent.encode()))))):
        raise Wrong("the same document is another version")


_ANSWERS_OF_A_RECORD = 200
"""After which another one begins: questions take longer, the more there is."""
_number = itertools.count()


def _record() -> tuple[Path, datetime]:
    """Return a record, and an instant after all in it."""
    number = next(_number)
    path = scratch() / "answers.db"
    if number % _ANSWERS_OF_A_RECORD == 0:
        for file in scratch().glob("answers.db*"):
            file.unlink()
        shutil.copyfile(empty_database(), path)
    return path, START + number * timedelta(seconds=1)


def _stored(content: bytes) -> None:
    """Store an answer as the newest of a record, and ask for it, and for what changed."""
    try:
        overview = read_response(IBM, 200, {}, content)
    except ApiError:
        return
    path, at = _record()
    asyncio.run(store_observations(path, [Observed(IBM, at, overview.document)]))
    with History.open(path) as history:
        received = history.received(IBM, at)
        if received is None or repr(tokens(as_sent(received.document))) != repr(tokens(content)):
            raise Wrong("another document comes back from the record")
        for rows in (history.changes([IBM], since=at), history.as_of(at, [IBM], ["all"]), history.vintages(IBM)):
            for row in rows.rows():
                encode_json(row)
    with open_for_reading(path) as db:
        for line in originals(db, Selection((IBM,), at, at)):
            printable_json(encode_json(line).decode())


def _headers(content: bytes) -> None:
    texts = [line.decode(errors="surrogateescape") for line in content.split(b"\n", 2)]
    after, date, age = (texts + ["", ""])[:3]
    try:
        read_response(IBM, 429, {"Retry-After": after, "Date": date}, b"{}")
    except ApiError as error:
        wait = getattr(error, "retry_after", None)
        if wait is not None and wait.total_seconds() < 0:
            raise Wrong(f"a wait of {wait}") from None
    dates(CIMultiDictProxy(CIMultiDict({"Date": date, "Age": age})))


def _strict(content: bytes) -> None:
    value = strict_json(content)
    if repr(tokens(spaced_json(value))) != repr(tokens(content)):
        raise Wrong("another value than Python's decoder reads")


def _column(content: bytes) -> None:
    """Read `extra` and the keys of a layout, as a damaged database has them, and use them as every answer does."""
    keys, _, extra = content.decode(errors="replace").partition("\n")
    value = decode_object(extra)
    if repr(tokens(spaced_json(value))) != repr(tokens(extra)):
        raise Wrong("extra is read as another value")
    nothing = split_document(Overview(IBM, {"Symbol": "IBM"}))
    document = stored_document(IBM, keys, extra, [*nothing.profile, *nothing.reported, *nothing.daily])
    for text in (as_sent(document), printable_json(encode_json(document).decode()), sorted_json(document)):
        text.encode()
    plain(document)
    _check_changes(document)


def _check_changes(document: Document) -> None:
    one, other = compared(document), compared({name: 1 for name in document if name != "Symbol"} | {"New": [1.10]})
    for before, after in ((one, other), (other, one)):
        for found in differences(before, after):
            encode_json([found.before, found.after, relative_change(found.before, found.after)])
    list(first_differences("2026-03-31", one.observed_at))


_DECODERS = (decoder(object), decoder(dict[str, list[int]]), decoder(list[str]))


def _json(content: bytes) -> None:
    for decode in _DECODERS:
        try:
            decode(content)
        except Undecodable as error:
            if not 0 < len(str(error)) < 200 or "\n" in str(error):
                raise Wrong(f"a reason of {len(str(error))} characters: {str(error)[:100]!r}") from None


def _call(content: bytes) -> None:
    """Read the arguments of a tool, of which the agent's side has already read the JSON."""
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(given, dict):
        read_arguments("overview", OverviewArguments, given)


@cache
def _recorded() -> tuple[bytes, ...]:
    """Return some answers of the API, where the project's recordings are."""
    if not RECORDINGS.is_dir():
        return ()
    bodies = [line["body"].encode() for _, line in zip(range(12), recorded("overviews.jsonl.gz"), strict=False)]
    return (*bodies, *(path.read_bytes() for path in sorted(ERRORS.glob("*"))[:12] if path.is_file()))


def decoders() -> tuple[Decoder, ...]:
    """Return the decoders of documents."""
    return (
        Decoder("answers", _answer, (), (ANSWER, _USUAL, *_REFUSALS, *_recorded())),
        Decoder(
            "answers in a record",
            _stored,
            (),
            (ANSWER, _USUAL, _USUAL.replace(b"1.5", b"2.5"), *_recorded()[:4]),
            at_once=4,
        ),
        Decoder(
            "headers of answers",
            _headers,
            (),
            (
                b"120\nSat, 14 Mar 2026 18:30:00 GMT\n7",
                b"Sat, 14 Mar 2026 18:30:00 GMT\nFri, 31 Dec 9999 23:59:59 GMT\n0",
            ),
        ),
        Decoder("strict JSON", _strict, (NotJson,), (ANSWER, _USUAL, b"[1, 2.50, null]", b'"x"')),
        Decoder("JSON of a type", _json, (), (ANSWER, b'{"a": [1, 2]}', b'["x"]')),
        Decoder(
            "columns",
            _column,
            (Undecodable,),
            (
                b'["Symbol", "Odd", "EPS"]\n{"Odd": [1.10, {"a": "x"}], "EPS": "1.10"}',
                b'["Symbol", "Beta", "ReturnOnEquityTTM"]\n{"Beta": -0, "ReturnOnEquityTTM": "-99999.99"}',
                b'["Symbol", "Beta"]\n{"Beta": 1e400}',
            ),
        ),
        Decoder(
            "calls of agents",
            _call,
            (BadCall,),
            (
                b'{"at": "2026-03-14", "symbols": ["AAPL"], "fields": "pe_ratio, eps", "max_staleness_hours": "72"}',
                b'{"at": "now", "symbols": "[\\"AAPL\\"]", "original": true, "fields": null}',
            ),
        ),
    )
