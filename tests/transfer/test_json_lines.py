"""JSON Lines: every line is read as a live response is, or reported with its place; nothing else ever happens."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.api.errors import ApiError, NotJson, OtherSymbol, QuotaEnded, TooLarge, Unavailable, UnknownSymbol
from pipeline.instants import to_text
from pipeline.model.document import Overview
from pipeline.transfer.entries import Place, Problem, RecordedResponse
from tests.support.archives import DOCUMENT, GOOD, IBM, NOW, THEN, entries, entries_in, line, problems, response_in
from tests.support.recordings import RECORDINGS, needs_recordings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "daily.jsonl"


def test_a_line_is_a_response_with_its_symbol_and_its_instant(file: Path) -> None:
    for answer in ({"document": DOCUMENT}, {"document": ..., "body": json.dumps(DOCUMENT, indent=4)}):
        one = response_in(file, line(**answer, recorded_as="52 keys"))
        assert one == RecordedResponse(Place(str(file), 1), IBM, THEN, (), Overview(IBM, DOCUMENT))


def test_a_document_keeps_its_order_and_its_types(file: Path) -> None:
    document = {
        "b": "1",
        "Symbol": "IBM",
        "a": 1.0,
        "c": None,
        "d": [{"z": 1, "y": True}],
        "name": "Caf\u00e9 \u201cx\u201d",
    }
    answer = response_in(file, line(document=document)).response
    assert isinstance(answer, Overview)
    assert json.dumps(answer.document) == json.dumps(document)


def test_later_observations_are_read_in_order(file: Path) -> None:
    later = [THEN + timedelta(days=days) for days in (2, 1, 2)]
    one = response_in(file, line(looks=[to_text(instant) for instant in later]))
    assert one.observed_again_at == (later[1], later[0])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"body": "{}"}, UnknownSymbol),
        ({"document": {}}, UnknownSymbol),
        ({"body": "<html></html>"}, NotJson),
        ({"body": ""}, NotJson),
        ({"body": '{"Information": "25 requests per day"}'}, QuotaEnded),
        ({"document": {"Note": "25 requests per day"}}, QuotaEnded),
        ({"document": {"Symbol": "AAPL"}}, OtherSymbol),
        ({"body": '{"Symbol": "IBM", "Symbol": "IBM"}'}, NotJson),
        ({"body": "\0"}, NotJson),
        ({"body": "x" * 1_000_001}, TooLarge),
        ({"body": "busy", "status": 503}, Unavailable),
        ({"document": DOCUMENT, "status": 503}, Unavailable),
        ({"document": DOCUMENT, "status": "503"}, Unavailable),
        ({"document": DOCUMENT, "status": 503.0}, Unavailable),
    ],
)
def test_a_response_that_is_not_an_overview_is_classified_like_a_live_one(
    file: Path, answer: dict[str, object], expected: type[ApiError]
) -> None:
    assert type(response_in(file, line(**({"document": ...} | answer))).response) is expected


@pytest.mark.parametrize("status", [None, "ok", 99, 10**400, True, 200])
def test_a_status_that_is_not_http_is_ignored(file: Path, status: object) -> None:
    assert isinstance(response_in(file, line(status=status)).response, Overview)


def test_null_counts_as_missing(file: Path) -> None:
    one = response_in(file, line(body=None, observed_at=None, looks=None), observed_at=THEN)
    assert (one.observed_at, one.observed_again_at) == (THEN, ())


def test_the_instant_of_a_line_has_precedence_over_the_imports(file: Path) -> None:
    assert response_in(file, GOOD, observed_at=THEN + timedelta(days=1)).observed_at == THEN


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b'{"symbol": "IBM"\n', "broken JSON"),
        (b"{} {}\n", "broken JSON at byte 4"),
        (b"[1]\n", "should be a JSON object"),
        (b'"IBM"\n', "should be a JSON object"),
        (b'{"symbol": "I\x00"}\n', "NUL"),
        (b"\0\0\0\n", "NUL"),
        (b'{"symbol": "\xff"}\n', "should be UTF-8"),
        (b'{"other": "\xff"}\n', "should be UTF-8"),
        (b'{"symbol": "\\ud800"}\n', "broken JSON"),
        (b'{"x": ' + b"[" * 8_000_000 + b"\n", "nested too deeply"),
        (b'{"x": "' + b"x" * 2**24 + b'"}\n', "longer than 16,777,216 bytes"),
        (line(symbol=...), "symbol is missing"),
        (line(symbol=7), "symbol has the wrong type"),
        (line(symbol="I B M"), "invalid symbol 'I B M'"),
        (line(symbol=""), "invalid symbol ''"),
        (line(observed_at=...), "observed_at is missing: expected text"),
        (line(observed_at=...), "--observed-at"),
        (line(observed_at=1710441000), "observed_at has the wrong type"),
        (line(observed_at="yesterday"), "observed_at: invalid timestamp 'yesterday'"),
        (line(observed_at="2026-03-13T12:00:01Z"), "in the future"),
        (line(observed_at="2026-03-13"), "2026-03-13T23:59:59.999Z is in the future (a date alone means its end)"),
        (line(document=...), "neither body (the response as text) nor document"),
        (line(body="{}"), "a body and a document"),
        (line(document=..., body={"Symbol": "IBM"}), "body has the wrong type"),
        (line(document="{}"), "document should be an object of strict JSON"),
        (line(document=[DOCUMENT]), "document should be an object of strict JSON"),
        (line(document={"Name": "a\0b"}), "NUL"),
        (line().replace(b'"IBM", "Name"', b'"IBM", "Symbol"'), "duplicate key"),
        (line().replace(b'{"symbol"', b'{"symbol": "AAPL", "symbol"'), "duplicate key"),
        (line(looks=to_text(NOW)), "looks has the wrong type"),
        (line(looks=[7]), "looks has the wrong type"),
        (line(looks=["soon"]), "looks: invalid timestamp 'soon'"),
        (line(looks=[to_text(THEN)]), "later than observed_at"),
        (line(looks=["2026-03-14T00:00:00Z"]), "looks: 2026-03-14T00:00:00.000Z is in the future"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_line_is_reported_and_the_next_is_read(file: Path, wrong: bytes, why: str) -> None:
    before, one, after = entries_in(file, GOOD + wrong + GOOD)
    assert isinstance(before, RecordedResponse)
    assert isinstance(after, RecordedResponse)
    assert isinstance(one, Problem)
    assert one.place == Place(str(file), 2)
    assert str(one.place) == f"{file}, line 2"
    assert why in one.reason
    assert one.reason.isprintable()
    assert after.place.line == 3


def test_a_bad_line_may_come_first(file: Path) -> None:
    assert [one.place.line for one in entries_in(file, b"{\n" + GOOD)] == [1, 2]


def test_a_line_that_is_too_long_may_still_be_an_object(file: Path) -> None:
    long = b'{"x": "' + b"x" * 2**24 + b'"}'
    assert problems(entries_in(file, long)) == [(f"{file}, line 1", "longer than 16,777,216 bytes")]
    assert problems(entries_in(file, long[1:]))[0][1].startswith("not JSON Lines")


def test_blank_lines_are_ignored_but_counted(file: Path) -> None:
    assert [one.place.line for one in entries_in(file, b"\n \t\r\n" + GOOD + b"\n\n" + GOOD.strip())] == [3, 6]


def test_a_bom_and_windows_line_ends_are_not_part_of_a_line(file: Path) -> None:
    lines = entries_in(file, b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n") * 2)
    assert [type(one) for one in lines] == [RecordedResponse, RecordedResponse]
    assert entries_in(file, b"\xef\xbb\xbf") == []


def test_keys_within_the_document_are_not_duplicates_of_the_lines_keys(file: Path) -> None:
    document = DOCUMENT | {"symbol": "x", "body": "symbol", "document": {"body": "document"}}
    assert response_in(file, line(document=document)).response == Overview(IBM, document)


@pytest.mark.parametrize("key", ["symbol", "observed_at", "body", "document", "looks", "status", "bod\\u0079"])
@pytest.mark.parametrize("spaced", [True, False])
def test_a_key_given_twice_is_found_however_little_room_it_takes(file: Path, key: str, *, spaced: bool) -> None:
    said = json.dumps(json.loads(line()), separators=(", ", ": ") if spaced else (",", ":")).encode()
    twice = f'{{"{key}":0,"{key}":0,'.encode() + said[1:]
    (one,) = entries_in(file, twice)
    assert isinstance(one, Problem)
    assert "duplicate key" in one.reason


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
DOCUMENTS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none())
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
ON_ONE_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@ON_ONE_FILE
@given(st.lists(st.tuples(DOCUMENTS, INSTANTS, st.booleans(), st.booleans()), max_size=4), st.booleans())
def test_what_was_written_as_json_lines_is_read_as_it_was(
    file: Path, kept: list[tuple[dict[str, object], datetime, bool, bool]], packed: bool
) -> None:
    lines = []
    for document, observed_at, escaped, as_text in kept:
        document["Symbol"] = "IBM"
        answer = {"body": json.dumps(document)} if as_text else {"document": document}
        keys = {"symbol": "ibm", "observed_at": to_text(observed_at), **answer}
        lines.append(json.dumps(keys, ensure_ascii=escaped).encode() + b"\n")
    content = b"".join(lines)
    assert entries_in(file, gzip.compress(content) if packed else content) == [
        RecordedResponse(Place(str(file), number), IBM, observed_at, (), Overview(IBM, document))
        for number, (document, observed_at, *_) in enumerate(kept, 1)
    ]


PIECES = st.lists(
    st.binary(max_size=40)
    | st.sampled_from([b"\n", b'{"symbol": ', b'"IBM"', b"}", b'"', b"\\", b"\x1f\x8b\x08", b"\xef\xbb\xbf", GOOD])
    | st.recursive(st.none() | st.text(max_size=5) | st.integers() | st.floats(), st.lists).map(
        lambda member: line(symbol=member, looks=member, status=member)
    )
).map(b"".join)


@ON_ONE_FILE
@given(PIECES, st.booleans(), st.sampled_from([None, THEN]), st.sampled_from(["x.jsonl", "IBM.json", "a b.json"]))
def test_any_bytes_at_all_are_responses_or_problems(
    tmp_path: Path, content: bytes, packed: bool, observed_at: datetime | None, name: str
) -> None:
    packed_content = gzip.compress(content) if packed else content
    for each in (packed_content, packed_content[: len(packed_content) // 2]):
        for one in entries_in(tmp_path / name, each, observed_at):
            assert isinstance(one, RecordedResponse | Problem)
            assert isinstance(one, RecordedResponse) or one.reason.isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"SQLite format 3\0" + bytes(range(256)) * 40,
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
        b"PAR1" + bytes(range(256)) * 40 + b"PAR1",
        b"symbol,name\n" + b"IBM,Business\n" * 1000,
        b"symbol,name\nIBM,Business\n",
        json.dumps(DOCUMENT, indent=4).encode(),
        json.dumps([DOCUMENT] * 100, indent=4).encode(),
        json.dumps([DOCUMENT] * 100).encode(),
        gzip.compress(gzip.compress(GOOD, mtime=0), mtime=0),
    ],
    ids=["sqlite", "png", "parquet", "csv", "short csv", "pretty", "pretty array", "array", "packed twice"],
)
def test_a_file_of_another_format_is_reported_once(file: Path, content: bytes) -> None:
    (one,) = problems(entries_in(file, content))
    assert one[0] == str(file)
    assert one[1].startswith("not JSON Lines")


def test_reading_stops_after_ten_lines_without_an_object(file: Path) -> None:
    assert [one.place.line for one in entries_in(file, b"{\n" * 9 + GOOD)] == list(range(1, 11))
    assert [one.place.line for one in entries_in(file, b"{\n" * 10 + GOOD)] == [0]


def test_an_empty_file_holds_no_lines(file: Path) -> None:
    assert entries_in(file, b"") == []


@needs_recordings
def test_a_real_recording_is_read_whole() -> None:
    answers: Counter[str] = Counter()
    for one in entries(RECORDINGS / "daily_2023_2025.jsonl.gz"):
        assert isinstance(one, RecordedResponse), one
        answers[type(one.response).__name__] += 1
    assert answers.total() == 2292
    assert answers["Overview"] == 2248
    assert answers["UnknownSymbol"] == 8
    assert answers["NotJson"] == 1
    assert answers.total() - answers["Overview"] - answers["UnknownSymbol"] - answers["NotJson"] == 35


@needs_recordings
def test_a_recording_without_instants_is_read_with_one_for_all() -> None:
    lines = entries(RECORDINGS / "overviews.jsonl.gz", THEN)
    assert len(lines) == 209
    assert {type(one.response) for one in lines if isinstance(one, RecordedResponse)} == {Overview}
    assert len(problems(entries(RECORDINGS / "overviews.jsonl.gz"))) == 209


@needs_recordings
def test_a_listing_is_not_an_archive() -> None:
    (one,) = problems(entries(RECORDINGS / "listing_status_active.csv"))
    assert one[1].startswith("not JSON Lines")
