"""Archives: what cannot be read at all is refused before anything is imported."""

import gzip
import json
import os
from pathlib import Path

import pytest

from pipeline.errors import Trouble
from pipeline.transfer.archives import archive_size, check_archives
from pipeline.transfer.entries import Place
from tests.support.archives import DOCUMENT, GOOD, THEN, entries


def test_readable_sources_pass(tmp_path: Path) -> None:
    (tmp_path / "IBM.json").write_text(json.dumps(DOCUMENT))
    lines = tmp_path / "lines.json"
    lines.write_bytes(GOOD)
    check_archives([lines], None)
    lines.write_bytes(gzip.compress(GOOD)[:-3])
    check_archives([lines], None)
    check_archives([tmp_path, tmp_path / "IBM.json", lines, Path("/dev/null")], THEN)
    assert entries(Path("/dev/null")) == []
    assert archive_size(Path("/dev/null")) is None
    assert archive_size(tmp_path / "absent") is None


def test_an_unreadable_source_is_refused_with_its_name_and_the_reason(tmp_path: Path) -> None:
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
            check_archives([source], observed_at)


def test_standard_input_can_be_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Trouble, match="named twice"):
        check_archives([None, None], None)
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(Trouble, match="is closed"):
        check_archives([None], None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(file: Path) -> None:
    file.touch(mode=0)
    with pytest.raises(Trouble, match="cannot be read: permission denied"):
        check_archives([file], None)


def test_a_place_is_harmless_where_it_is_shown() -> None:
    assert str(Place("a\x1b[31m\udcff.jsonl", 1234)) == r"a\x1b[31m\udcff.jsonl, line 1234"
