"""Streams: files that are packed, cut off, damaged or gone, and standard input."""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.transfer.archives import archive_size, check_archives, read_archive
from pipeline.transfer.entries import Place, Problem, RecordedResponse
from tests.support.archives import GOOD, NOW, THEN, entries, entries_in, line, problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "daily.jsonl"


def many(count: int) -> bytes:
    """Lines that gzip cannot make much smaller, so that a file has many pieces."""
    return b"".join(line(noise=os.urandom(500).hex()) for _ in range(count))


@pytest.mark.parametrize("packed", [False, True])
def test_on_read_is_called_with_all_bytes_of_the_file(file: Path, packed: bool) -> None:
    file.write_bytes(gzip.compress(many(300)) if packed else many(300))
    read: list[int] = []
    assert len(list(read_archive(file, observed_at=None, now=NOW, on_read=read.append))) == 300
    assert sum(read) == file.stat().st_size == archive_size(file)
    assert len(read) > 2


def test_gzip_may_have_several_members_and_padding(file: Path) -> None:
    members = gzip.compress(GOOD + GOOD[:20]) + gzip.compress(GOOD[20:]) + b"\0" * 100
    assert [type(one) for one in entries_in(file, members)] == [RecordedResponse, RecordedResponse]


@pytest.mark.parametrize("cut", [1, 8, 9, 5000, 150_000])
def test_the_whole_lines_of_a_cut_off_file_are_read(file: Path, cut: int) -> None:
    content = many(300)
    packed = gzip.compress(content)[:-cut]
    whole = zlib.decompressobj(31).decompress(packed).count(b"\n")
    *lines, end = entries_in(file, packed)
    assert len(lines) == whole
    assert all(isinstance(one, RecordedResponse) for one in lines)
    assert end == Problem(Place(str(file)), f"is cut off after line {whole}")


def test_the_whole_lines_before_the_damage_of_a_file_are_read(file: Path) -> None:
    content = many(300)
    packed = bytearray(gzip.compress(content))
    packed[-8] ^= 1  # of the checksum, which comes after all lines
    *lines, end = entries_in(file, bytes(packed))
    assert len(lines) == 300
    assert isinstance(end, Problem)
    assert end.place == Place(str(file))
    assert end.reason.startswith("is damaged (")
    assert end.reason.endswith("after line 300")


def test_garbage_after_gzip_is_damage(file: Path) -> None:
    first, end = entries_in(file, gzip.compress(GOOD) + b"garbage")
    assert isinstance(first, RecordedResponse)
    assert "is damaged" in problems([end])[0][1]


def test_a_file_that_is_only_the_beginning_of_gzip_is_cut_off(file: Path) -> None:
    assert entries_in(file, b"\x1f\x8b") == [Problem(Place(str(file)), "is cut off")]


def test_a_file_that_vanished_after_it_was_checked_is_a_problem(file: Path) -> None:
    assert problems(entries(file)) == [(str(file), "cannot be read (no such file or directory)")]
    assert problems(entries(file.with_suffix(".json"), THEN)) == [
        (str(file.with_suffix(".json")), "cannot be read (no such file or directory)")
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_as_a_file_is(monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pack(GOOD + b"{\n"))))
    check_archives([None], None)
    first, second = entries(None)
    assert isinstance(first, RecordedResponse)
    assert str(first.place) == "standard input, line 1"
    assert str(second.place) == "standard input, line 2"
    assert archive_size(None) is None


# Text as other programs write it


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_byte_order_marks_are_skipped_also_in_files_that_were_joined(
    monkeypatch: pytest.MonkeyPatch, file: Path, pack: Callable[[bytes], bytes]
) -> None:
    content = pack(b"\xef\xbb\xbf" + GOOD) + pack(b"\xef\xbb\xbf" + GOOD)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    for found in (entries_in(file, content), entries(None)):
        assert [type(one) for one in found] == [RecordedResponse, RecordedResponse]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("encoding", "iconv"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32LE"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
def test_another_encoding_is_named_once_for_each_file_with_what_converts_it(
    monkeypatch: pytest.MonkeyPatch, file: Path, encoding: str, iconv: str, pack: Callable[[bytes], bytes]
) -> None:
    content = pack((GOOD * 3).decode().encode(encoding))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    document = file.with_name("IBM.json")
    for found in (entries_in(file, content), entries_in(document, content, THEN), entries(None)):
        ((_, reason),) = problems(found)
        assert f"iconv -f {iconv} -t UTF-8" in reason
        assert codecs.lookup(iconv).name == encoding


def test_big_endian_text_with_a_mark_is_named_too(file: Path) -> None:
    for mark, encoding in ((codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF32_BE, "utf-32-be")):
        ((_, reason),) = problems(entries_in(file, mark + GOOD.decode().encode(encoding)))
        assert f"iconv -f {encoding[:6].upper()} " in reason
