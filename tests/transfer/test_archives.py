"""Recordings: every line is read as a live answer is, or named as bad with its place; nothing else ever happens."""

import gzip
import io
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.api.errors import ApiError, NotJson, OtherSymbol, QuotaEnded, TooLarge, Unavailable, UnknownSymbol
from pipeline.errors import Trouble
from pipeline.instants import to_text
from pipeline.model.document import Overview
from pipeline.model.symbols import Symbol
from pipeline.transfer.archives import Bad, Place, Recorded, check, recordings, size
from tests.support.recordings import RECORDINGS, needs_recordings

IBM = Symbol("IBM")
NOW = datetime(2026, 3, 13, 12, 0, tzinfo=UTC)
THEN = datetime(2024, 3, 14, 18, 30, tzinfo=UTC)
DOCUMENT = {"Symbol": "IBM", "Name": "Business", "PERatio": "12.3"}


def line(**keys: Any) -> bytes:
    usual = {"symbol": "IBM", "observed_at": to_text(THEN), "document": DOCUMENT}
    return json.dumps({key: member for key, member in (usual | keys).items() if member is not ...}).encode() + b"\n"


GOOD = line()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "daily.jsonl"


def found(source: Path | None, observed_at: datetime | None = None) -> list[Recorded | Bad]:
    return list(recordings(source, observed_at=observed_at, now=NOW, advanced=lambda _read: None))


def found_in(file: Path, content: bytes, observed_at: datetime | None = None) -> list[Recorded | Bad]:
    file.write_bytes(content)
    return found(file, observed_at)


def recorded(file: Path, content: bytes, observed_at: datetime | None = None) -> Recorded:
    (one,) = found_in(file, content, observed_at)
    assert isinstance(one, Recorded), one
    return one


def bad(found: Iterable[Recorded | Bad]) -> list[tuple[str, str]]:
    return [(str(one.place), one.why) for one in found if isinstance(one, Bad)]


# Lines


def test_a_line_is_an_answer_with_its_symbol_and_its_instant(file: Path) -> None:
    for answer in ({"document": DOCUMENT}, {"document": ..., "body": json.dumps(DOCUMENT, indent=4)}):
        one = recorded(file, line(**answer, recorded_as="52 keys"))
        assert one == Recorded(Place(str(file), 1), IBM, THEN, (), Overview(IBM, DOCUMENT))


def test_a_document_keeps_its_order_and_its_types(file: Path) -> None:
    document = {
        "b": "1",
        "Symbol": "IBM",
        "a": 1.0,
        "c": None,
        "d": [{"z": 1, "y": True}],
        "name": "Caf\u00e9 \u201cx\u201d",
    }
    answer = recorded(file, line(document=document)).answer
    assert isinstance(answer, Overview)
    assert json.dumps(answer.document) == json.dumps(document)


def test_looks_are_read_in_order(file: Path) -> None:
    later = [THEN + timedelta(days=days) for days in (2, 1, 2)]
    one = recorded(file, line(looks=[to_text(look) for look in later]))
    assert one.looks == (later[1], later[0])


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
def test_an_answer_that_is_no_overview_is_sorted_like_a_live_one(
    file: Path, answer: dict[str, object], expected: type[ApiError]
) -> None:
    assert type(recorded(file, line(**({"document": ...} | answer))).answer) is expected


@pytest.mark.parametrize("status", [None, "ok", 99, 10**400, True, 200])
def test_what_is_no_status_is_passed_over(file: Path, status: object) -> None:
    assert isinstance(recorded(file, line(status=status)).answer, Overview)


def test_what_is_null_is_missing(file: Path) -> None:
    one = recorded(file, line(body=None, observed_at=None, looks=None), observed_at=THEN)
    assert (one.observed_at, one.looks) == (THEN, ())


def test_the_lines_own_instant_beats_the_imports(file: Path) -> None:
    assert recorded(file, GOOD, observed_at=THEN + timedelta(days=1)).observed_at == THEN


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b'{"symbol": "IBM"\n', "broken JSON"),
        (b"{} {}\n", "broken JSON"),
        (b"[1]\n", "should be a JSON object"),
        (b'"IBM"\n', "should be a JSON object"),
        (b'{"symbol": "I\x00"}\n', "NUL"),
        (b"\0\0\0\n", "NUL"),
        (b'{"symbol": "\xff"}\n', "should be UTF-8"),
        (b'{"other": "\xff"}\n', "should be UTF-8"),
        (b'{"symbol": "\\ud800"}\n', "broken JSON"),
        (b'{"x": ' + b"[" * 100_000 + b"\n", "nested too deeply"),
        (b'{"x": "' + b"x" * 2**24 + b'"}\n', "longer than 16,777,216 bytes"),
        (line(symbol=...), "symbol is missing"),
        (line(symbol=7), "symbol is of the wrong type"),
        (line(symbol="I B M"), "invalid symbol 'I B M'"),
        (line(symbol=""), "invalid symbol ''"),
        (line(observed_at=...), "observed_at is missing: should be text, as in"),
        (line(observed_at=...), "--observed-at"),
        (line(observed_at=1710441000), "observed_at is of the wrong type"),
        (line(observed_at="yesterday"), "observed_at: invalid timestamp 'yesterday'"),
        (line(observed_at="2026-03-13T12:00:01Z"), "still to come"),
        (line(observed_at="2026-03-13"), "2026-03-13T23:59:59.999Z is still to come (a date alone means its end)"),
        (line(document=...), "has neither body (the answer as text) nor document"),
        (line(body="{}"), "not both"),
        (line(document=..., body={"Symbol": "IBM"}), "body is of the wrong type"),
        (line(document="{}"), "document should be an object of strict JSON"),
        (line(document=[DOCUMENT]), "document should be an object of strict JSON"),
        (line(document={"Name": "a\0b"}), "NUL"),
        (line().replace(b'"IBM", "Name"', b'"IBM", "Symbol"'), "duplicate key"),
        (line().replace(b'{"symbol"', b'{"symbol": "AAPL", "symbol"'), "duplicate key"),
        (line(looks=to_text(NOW)), "looks is of the wrong type"),
        (line(looks=[7]), "looks is of the wrong type"),
        (line(looks=["soon"]), "looks: invalid timestamp 'soon'"),
        (line(looks=[to_text(THEN)]), "later than observed_at"),
        (line(looks=["2026-03-14T00:00:00Z"]), "looks: 2026-03-14T00:00:00.000Z is still to come"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_line_is_named_and_the_next_is_read(file: Path, wrong: bytes, why: str) -> None:
    before, one, after = found_in(file, GOOD + wrong + GOOD)
    assert isinstance(before, Recorded)
    assert isinstance(after, Recorded)
    assert isinstance(one, Bad)
    assert one.place == Place(str(file), 2)
    assert str(one.place) == f"{file}, line 2"
    assert why in one.why
    assert one.why.isprintable()
    assert after.place.line == 3


def test_a_bad_line_may_come_first(file: Path) -> None:
    assert [one.place.line for one in found_in(file, b"{\n" + GOOD)] == [1, 2]


def test_a_line_that_is_too_long_may_still_be_an_object(file: Path) -> None:
    long = b'{"x": "' + b"x" * 2**24 + b'"}'
    assert bad(found_in(file, long)) == [(f"{file}, line 1", "longer than 16,777,216 bytes")]
    assert bad(found_in(file, long[1:]))[0][1].startswith("is no JSON Lines")


def test_blank_lines_are_passed_over_and_counted(file: Path) -> None:
    assert [one.place.line for one in found_in(file, b"\n \t\r\n" + GOOD + b"\n\n" + GOOD.strip())] == [3, 6]


def test_a_bom_and_the_line_ends_of_windows_are_no_part_of_a_line(file: Path) -> None:
    lines = found_in(file, b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n") * 2)
    assert [type(one) for one in lines] == [Recorded, Recorded]
    assert found_in(file, b"\xef\xbb\xbf") == []


def test_a_line_in_which_the_document_has_our_keys_is_no_key_given_twice(file: Path) -> None:
    document = DOCUMENT | {"symbol": "x", "body": "symbol", "document": {"body": "document"}}
    assert recorded(file, line(document=document)).answer == Overview(IBM, document)


@pytest.mark.parametrize("key", ["symbol", "observed_at", "body", "document", "looks", "status", "bod\\u0079"])
@pytest.mark.parametrize("spaced", [True, False])
def test_a_key_given_twice_is_found_however_little_room_it_takes(file: Path, key: str, *, spaced: bool) -> None:
    said = json.dumps(json.loads(line()), separators=(", ", ": ") if spaced else (",", ":")).encode()
    twice = f'{{"{key}":0,"{key}":0,'.encode() + said[1:]
    (one,) = found_in(file, twice)
    assert isinstance(one, Bad)
    assert "duplicate key" in one.why


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
DOCUMENTS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none())
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
ON_ONE_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)


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
    assert found_in(file, gzip.compress(content) if packed else content) == [
        Recorded(Place(str(file), number), IBM, observed_at, (), Overview(IBM, document))
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
def test_any_bytes_at_all_are_recorded_or_bad(
    tmp_path: Path, content: bytes, packed: bool, observed_at: datetime | None, name: str
) -> None:
    packed_content = gzip.compress(content) if packed else content
    for each in (packed_content, packed_content[: len(packed_content) // 2]):
        for one in found_in(tmp_path / name, each, observed_at):
            assert isinstance(one, Recorded | Bad)
            assert isinstance(one, Recorded) or one.why.isprintable()


# Files that are packed, broken or of another kind


def many(count: int) -> bytes:
    """Lines that gzip cannot make much smaller, so that a file has many pieces."""
    return b"".join(line(noise=os.urandom(500).hex()) for _ in range(count))


@pytest.mark.parametrize("packed", [False, True])
def test_all_of_a_source_is_heard_of_as_it_lies_on_disk(file: Path, packed: bool) -> None:
    file.write_bytes(gzip.compress(many(300)) if packed else many(300))
    heard: list[int] = []
    assert len(list(recordings(file, observed_at=None, now=NOW, advanced=heard.append))) == 300
    assert sum(heard) == file.stat().st_size == size(file)
    assert len(heard) > 2


def test_gzip_may_have_several_members_and_padding(file: Path) -> None:
    members = gzip.compress(GOOD + GOOD[:20]) + gzip.compress(GOOD[20:]) + b"\0" * 100
    assert [type(one) for one in found_in(file, members)] == [Recorded, Recorded]


@pytest.mark.parametrize("cut", [1, 8, 9, 5000, 150_000])
def test_of_a_file_that_is_cut_off_the_whole_lines_are_read(file: Path, cut: int) -> None:
    content = many(300)
    packed = gzip.compress(content)[:-cut]
    whole = zlib.decompressobj(31).decompress(packed).count(b"\n")
    *lines, end = found_in(file, packed)
    assert len(lines) == whole
    assert all(isinstance(one, Recorded) for one in lines)
    assert end == Bad(Place(str(file)), f"is cut off after line {whole}")


def test_of_a_damaged_file_the_whole_lines_before_the_damage_are_read(file: Path) -> None:
    content = many(300)
    packed = bytearray(gzip.compress(content))
    packed[-8] ^= 1  # of the checksum, which comes after all lines
    *lines, end = found_in(file, bytes(packed))
    assert len(lines) == 300
    assert isinstance(end, Bad)
    assert end.place == Place(str(file))
    assert end.why.startswith("is damaged (")
    assert end.why.endswith("after line 300")


def test_what_follows_gzip_and_is_none_is_damage(file: Path) -> None:
    first, end = found_in(file, gzip.compress(GOOD) + b"garbage")
    assert isinstance(first, Recorded)
    assert "is damaged" in bad([end])[0][1]


def test_a_file_that_is_only_the_beginning_of_gzip_is_cut_off(file: Path) -> None:
    assert found_in(file, b"\x1f\x8b") == [Bad(Place(str(file)), "is cut off")]


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
        (GOOD * 3).decode().encode("utf-16"),
        gzip.compress(gzip.compress(GOOD, mtime=0), mtime=0),
    ],
    ids=["sqlite", "png", "parquet", "csv", "short csv", "pretty", "pretty array", "array", "utf-16", "packed twice"],
)
def test_a_file_of_another_kind_is_named_once(file: Path, content: bytes) -> None:
    (one,) = bad(found_in(file, content))
    assert one[0] == str(file)
    assert one[1].startswith("is no JSON Lines")


def test_a_file_without_an_object_in_ten_lines_is_read_no_further(file: Path) -> None:
    assert [one.place.line for one in found_in(file, b"{\n" * 9 + GOOD)] == list(range(1, 11))
    assert [one.place.line for one in found_in(file, b"{\n" * 10 + GOOD)] == [0]


def test_a_file_that_vanished_after_it_was_checked_is_bad(file: Path) -> None:
    assert bad(found(file)) == [(str(file), "cannot be read (no such file or directory)")]
    assert bad(found(file.with_suffix(".json"), THEN)) == [
        (str(file.with_suffix(".json")), "cannot be read (no such file or directory)")
    ]


def test_an_empty_file_holds_no_lines(file: Path) -> None:
    assert found_in(file, b"") == []


def test_a_name_is_harmless_where_it_is_shown() -> None:
    assert str(Place("a\x1b[31m\udcff.jsonl", 1234)) == r"a\x1b[31m\udcff.jsonl, line 1234"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_as_a_file_is(monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pack(GOOD + b"{\n"))))
    check([None], None)
    first, second = found(None)
    assert isinstance(first, Recorded)
    assert str(first.place) == "standard input, line 1"
    assert str(second.place) == "standard input, line 2"
    assert size(None) is None


# Documents, a file each


def test_a_folder_holds_a_document_for_each_symbol(tmp_path: Path) -> None:
    (tmp_path / "msft.json").write_text(json.dumps({"Symbol": "MSFT"}, indent=4))
    (tmp_path / "BRK-B.JSON").write_bytes(gzip.compress(b'\xef\xbb\xbf{"Symbol": "BRK-B"}'))
    (tmp_path / "AA.json").write_text("{}")
    (tmp_path / "BB.json").write_text("\n<html></html>")
    (tmp_path / ".hidden").touch()
    check([tmp_path], THEN)
    heard: list[int] = []
    lines = list(recordings(tmp_path, observed_at=THEN, now=NOW, advanced=heard.append))
    assert [
        (one.symbol, type(one.answer), one.observed_at, str(one.place)) for one in lines if isinstance(one, Recorded)
    ] == [
        ("AA", UnknownSymbol, THEN, str(tmp_path / "AA.json")),
        ("BB", NotJson, THEN, str(tmp_path / "BB.json")),
        ("BRK-B", Overview, THEN, str(tmp_path / "BRK-B.JSON")),
        ("MSFT", Overview, THEN, str(tmp_path / "msft.json")),
    ]
    assert len(lines) == 4
    assert sum(heard) == size(tmp_path)


def test_what_else_is_in_a_folder_is_named_once(tmp_path: Path) -> None:
    for name in ("notes.txt", "a.csv", "b.csv", "c.csv", "d.csv", "e.csv"):
        (tmp_path / name).touch()
    (tmp_path / "deeper.json").mkdir()
    (tmp_path / "IBM.json").write_text(json.dumps(DOCUMENT))
    skipped, one = found(tmp_path, THEN)
    assert bad([skipped]) == [
        (str(tmp_path), "skipped what is no SYMBOL.json: a.csv, b.csv, c.csv, d.csv, deeper.json and 2 more")
    ]
    assert isinstance(one, Recorded)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("not a symbol.json", json.dumps(DOCUMENT).encode(), "invalid symbol 'not a symbol'"),
        ("IBM.json", b"", "should be an object of strict JSON"),
        ("IBM.json", b" \n", "should be an object of strict JSON"),
        ("IBM.json", b'{"Symbol": "IBM", "Symbol": "IBM"}', "duplicate key"),
        ("IBM.json", json.dumps(DOCUMENT, indent=4).encode()[:-9], "is no JSON Lines"),
        ("IBM.json", json.dumps([DOCUMENT]).encode(), "is no JSON Lines"),
        ("IBM.json", b'{"x": ' + b"[" * 100_000, "is no JSON Lines"),
        ("IBM.json", json.dumps(DOCUMENT | {"Name": "x" * 10**6}, indent=4).encode(), "is no JSON Lines"),
        ("IBM.json", gzip.compress(json.dumps(DOCUMENT).encode(), mtime=0)[:-3], "is cut off"),
    ],
)
def test_a_file_that_is_no_document_is_bad(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (one,) = bad(found_in(tmp_path / name, content, THEN))
    assert one[0] == str(tmp_path / name)
    assert why in one[1]


def test_a_document_cannot_have_come_after_now(tmp_path: Path) -> None:
    (one,) = bad(found_in(tmp_path / "IBM.json", json.dumps(DOCUMENT).encode(), NOW + timedelta(seconds=1)))
    assert "still to come" in one[1]


def test_a_file_that_is_one_document_is_taken_as_in_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "ibm.json"
    for indent in (None, 4):
        one = recorded(file, json.dumps(DOCUMENT, indent=indent).encode(), THEN)
        assert one == Recorded(Place(str(file)), IBM, THEN, (), Overview(IBM, DOCUMENT))


def test_a_json_file_of_lines_is_lines(tmp_path: Path) -> None:
    for content in (GOOD, GOOD * 3, b"{\n" + GOOD):
        lines = found_in(tmp_path / "all.json", content, THEN)
        assert len(lines) == content.count(b"\n")
        assert isinstance(lines[-1], Recorded)
        assert lines[-1].place.line == len(lines)


def test_a_folder_without_an_instant_is_bad(tmp_path: Path) -> None:
    (tmp_path / "IBM.json").write_text(json.dumps(DOCUMENT))
    (one,) = bad(found(tmp_path))
    assert "--observed-at" in one[1]


# Before anything is read


def test_sources_that_can_be_read_give_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "IBM.json").write_text(json.dumps(DOCUMENT))
    lines = tmp_path / "lines.json"
    lines.write_bytes(GOOD)
    check([lines], None)
    lines.write_bytes(gzip.compress(GOOD)[:-3])
    check([lines], None)
    check([tmp_path, tmp_path / "IBM.json", lines, Path("/dev/null")], THEN)
    assert found(Path("/dev/null")) == []
    assert size(Path("/dev/null")) is None
    assert size(tmp_path / "absent") is None


def test_trouble_is_told_before_anything_is_read(tmp_path: Path) -> None:
    document = tmp_path / "some" / "IBM.json"
    document.parent.mkdir()
    document.write_text(json.dumps(DOCUMENT, indent=4))
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, observed_at, why in (
        (tmp_path / "absent.jsonl", None, "absent.jsonl cannot be read: no such file or directory"),
        (document / "x", None, "x cannot be read: not a directory"),
        (empty, THEN, "empty holds no SYMBOL.json"),
        (document.parent, None, "some does not say when it was received: give --observed-at"),
        (document, None, "IBM.json does not say when it was received: give --observed-at"),
    ):
        with pytest.raises(Trouble, match=why):
            check([source], observed_at)


def test_standard_input_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Trouble, match="named twice"):
        check([None, None], None)
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(Trouble, match="is closed"):
        check([None], None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_trouble(file: Path) -> None:
    file.touch(mode=0)
    with pytest.raises(Trouble, match="cannot be read: permission denied"):
        check([file], None)


# What was really recorded


@needs_recordings
def test_a_real_recording_is_read_whole() -> None:
    answers: Counter[str] = Counter()
    for one in found(RECORDINGS / "daily_2023_2025.jsonl.gz"):
        assert isinstance(one, Recorded), one
        answers[type(one.answer).__name__] += 1
    assert answers.total() == 2292
    assert answers["Overview"] == 2248
    assert answers["UnknownSymbol"] == 8
    assert answers["NotJson"] == 1
    assert answers.total() - answers["Overview"] - answers["UnknownSymbol"] - answers["NotJson"] == 35


@needs_recordings
def test_a_recording_without_instants_is_read_with_one_for_all() -> None:
    lines = found(RECORDINGS / "overviews.jsonl.gz", THEN)
    assert len(lines) == 209
    assert {type(one.answer) for one in lines if isinstance(one, Recorded)} == {Overview}
    assert len(bad(found(RECORDINGS / "overviews.jsonl.gz"))) == 209


@needs_recordings
def test_a_listing_is_no_recording() -> None:
    (one,) = bad(found(RECORDINGS / "listing_status_active.csv"))
    assert one[1].startswith("is no JSON Lines")
