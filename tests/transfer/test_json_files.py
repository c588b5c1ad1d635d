"""SYMBOL.json files: a response each, alone or in a folder."""

import gzip
import json
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.api.errors import NotJson, UnknownSymbol
from pipeline.model.document import Overview
from pipeline.transfer.archives import archive_size, check_archives, read_archive
from pipeline.transfer.entries import Place, RecordedResponse
from tests.support.archives import DOCUMENT, GOOD, IBM, NOW, THEN, entries, entries_in, problems, response_in


def test_a_folder_holds_a_document_for_each_symbol(tmp_path: Path) -> None:
    (tmp_path / "msft.json").write_text(json.dumps({"Symbol": "MSFT"}, indent=4))
    (tmp_path / "BRK-B.JSON").write_bytes(gzip.compress(b'\xef\xbb\xbf{"Symbol": "BRK-B"}'))
    (tmp_path / "AA.json").write_text("{}")
    (tmp_path / "BB.json").write_text("\n<html></html>")
    (tmp_path / ".hidden").touch()
    check_archives([tmp_path], THEN)
    read: list[int] = []
    lines = list(read_archive(tmp_path, observed_at=THEN, now=NOW, on_read=read.append))
    assert [
        (one.symbol, type(one.response), one.observed_at, str(one.place))
        for one in lines
        if isinstance(one, RecordedResponse)
    ] == [
        ("AA", UnknownSymbol, THEN, str(tmp_path / "AA.json")),
        ("BB", NotJson, THEN, str(tmp_path / "BB.json")),
        ("BRK-B", Overview, THEN, str(tmp_path / "BRK-B.JSON")),
        ("MSFT", Overview, THEN, str(tmp_path / "msft.json")),
    ]
    assert len(lines) == 4
    assert sum(read) == archive_size(tmp_path)


def test_other_files_in_a_folder_are_reported_once(tmp_path: Path) -> None:
    for name in ("notes.txt", "a.csv", "b.csv", "c.csv", "d.csv", "e.csv"):
        (tmp_path / name).touch()
    (tmp_path / "deeper.json").mkdir()
    (tmp_path / "IBM.json").write_text(json.dumps(DOCUMENT))
    skipped, one = entries(tmp_path, THEN)
    assert problems([skipped]) == [
        (str(tmp_path), "skipped, not SYMBOL.json: a.csv, b.csv, c.csv, d.csv, deeper.json and 2 more")
    ]
    assert isinstance(one, RecordedResponse)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("not a symbol.json", json.dumps(DOCUMENT).encode(), "invalid symbol 'not a symbol'"),
        ("IBM.json", b"", "not strict JSON"),
        ("IBM.json", b" \n", "not strict JSON"),
        ("IBM.json", b'{"Symbol": "IBM", "Symbol": "IBM"}', "duplicate key"),
        ("IBM.json", json.dumps(DOCUMENT, indent=4).encode()[:-9], "not strict JSON"),
        ("IBM.json", json.dumps([DOCUMENT]).encode(), "not a JSON object"),
        ("IBM.json", b'{"x": ' + b"[" * 100_000, "nested too deeply"),
        ("IBM.json", json.dumps(DOCUMENT | {"Name": "x" * 10**6}, indent=4).encode(), "1,000,000 bytes"),
        ("IBM.json", gzip.compress(json.dumps(DOCUMENT).encode(), mtime=0)[:-3], "is cut off"),
    ],
)
def test_a_file_that_is_not_a_response_is_a_problem(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (one,) = problems(entries_in(tmp_path / name, content, THEN))
    assert one[0] == str(tmp_path / name)
    assert why in one[1]


def test_a_response_cannot_be_from_the_future(tmp_path: Path) -> None:
    (one,) = problems(entries_in(tmp_path / "IBM.json", json.dumps(DOCUMENT).encode(), NOW + timedelta(seconds=1)))
    assert "in the future" in one[1]


def test_a_file_that_is_one_response_is_read_as_in_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "ibm.json"
    for indent in (None, 4):
        one = response_in(file, json.dumps(DOCUMENT, indent=indent).encode(), THEN)
        assert one == RecordedResponse(Place(str(file)), IBM, THEN, (), Overview(IBM, DOCUMENT))


def test_a_json_file_of_lines_is_lines(tmp_path: Path) -> None:
    for content in (GOOD, GOOD * 3, b"{\n" + GOOD):
        lines = entries_in(tmp_path / "all.json", content, THEN)
        assert len(lines) == content.count(b"\n")
        assert isinstance(lines[-1], RecordedResponse)
        assert lines[-1].place.line == len(lines)


def test_a_folder_without_an_instant_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "IBM.json").write_text(json.dumps(DOCUMENT))
    (one,) = problems(entries(tmp_path))
    assert "--observed-at" in one[1]
