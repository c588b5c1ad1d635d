"""Look-ahead: the first pass counts what the second would, and leaves what it reads to be read again."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import Trouble
from pipeline.instants import to_text
from pipeline.model.anomalies import quarter_is_over
from pipeline.model.document import Overview
from pipeline.model.fields import FIELDS
from pipeline.model.values import parse_value
from pipeline.transfer.archives import Archives
from pipeline.transfer.entries import Problem, Received, RecordedResponse
from pipeline.transfer.look_ahead import LookAhead, glances
from tests.support.archives import GOOD, NOW, THEN, line


def nothing(_bytes: int) -> None:
    """Count no bytes."""


def looked_at(archives: Archives) -> LookAhead:
    found = LookAhead()
    every = glances(archives.parts_to_check(nothing), nothing)
    while found.count(every, 2):
        pass
    return found


def by_reading(archives: Archives) -> tuple[int, int]:
    """Return how many documents there are, and how many look ahead, by reading each whole."""
    documents = ahead = 0
    for one in archives.entries(nothing):
        if isinstance(one, RecordedResponse) and isinstance(one.response, Overview):
            quarter = parse_value(FIELDS["LatestQuarter"], one.response.document.get("LatestQuarter"))
            documents += 1
            ahead += not quarter_is_over(quarter, to_text(one.observed_at))
    return documents, ahead


def envelope(observed_at: str, document: dict[str, Any], key: str) -> str:
    return json.dumps(
        {"symbol": "IBM", "observed_at": observed_at, key: document if key == "document" else json.dumps(document)}
    )


_INSTANTS = st.sampled_from(
    ["2024-03-28", "2024-03-29T00:30:00Z", "2024-03-28T23:30:00-05:00", "2024-03-29T01:00+14:00", "2023-12-31"]
)
_QUARTERS = st.sampled_from(["2024-03-31", "2023-12-31", "None", "-", "2024-02-30", "zzzz", 7, None])
_SYMBOLS = st.sampled_from(["IBM", "ibm", "AAPL", 7, None])
_DOCUMENTS: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.builds(
    lambda symbol, quarter: {"Symbol": symbol, "LatestQuarter": quarter}, _SYMBOLS, _QUARTERS
)
_OF_ANOTHER = envelope("2024-03-14", {"Symbol": "AAPL", "LatestQuarter": "2023-12-31"}, "body")
_LINES = st.builds(envelope, _INSTANTS, _DOCUMENTS, st.sampled_from(["body", "document"]))


_OVER_IN_UTC = envelope("2024-03-28T23:30:00-05:00", {"Symbol": "IBM", "LatestQuarter": "2024-03-31"}, "body")


@given(st.lists(_LINES, max_size=8), st.booleans())
@example([_OVER_IN_UTC], False)
@example([_OF_ANOTHER], False)
def test_a_glance_counts_what_reading_does(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], packed: bool
) -> None:
    path = tmp_path_factory.mktemp("archive") / "x.jsonl"
    content = "\n".join(texts).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    with Archives([path], Received(None, NOW), None) as archives:
        found = looked_at(archives)
    assert (found.documents, found.ahead) == by_reading(archives)


def test_a_file_of_one_response_is_looked_at_by_its_given_time(tmp_path: Path) -> None:
    for symbol, quarter in (("A", "2024-03-31"), ("B", "2023-12-31")):
        (tmp_path / f"{symbol}.json").write_text(json.dumps({"Symbol": symbol, "LatestQuarter": quarter}))
    found = looked_at(Archives([tmp_path], Received(THEN, NOW), None))
    assert (found.documents, found.ahead) == (2, 1), "received on 2024-03-14"
    assert "A.json" in found.first


def test_what_is_no_document_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(
        b"{\n[]\n" + line(document={"Note": "wait"}) + line(body="<html>", document=...) + line(observed_at=7) + GOOD
    )
    found = looked_at(Archives([tmp_path / "x.jsonl"], Received(None, NOW), None))
    assert (found.documents, found.ahead) == (1, 0)


@pytest.mark.parametrize(("ahead", "is_refused"), [(0, False), (1, False), (2, False), (3, True)])
def test_more_than_a_tenth_is_refused(ahead: int, is_refused: bool) -> None:
    assert LookAhead(documents=20, ahead=ahead).is_refused is is_refused


def test_no_document_at_all_is_not_refused() -> None:
    assert not LookAhead().is_refused


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_again_as_it_came(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    content = pack(GOOD * 3 + b"{broken\n")[: -3 if pack is gzip.compress else None]
    (tmp_path / "x.jsonl").write_bytes(content)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    with Archives([None], Received(None, NOW), None) as archives:
        assert looked_at(archives).documents == 3
        again = [one.reason if isinstance(one, Problem) else one.response for one in archives.entries(nothing)]
    of_file = Archives([tmp_path / "x.jsonl"], Received(None, NOW), None).entries(nothing)
    assert again == [one.reason if isinstance(one, Problem) else one.response for one in of_file]


class _Failing:
    """A stream that fails after its first bytes."""

    def __init__(self) -> None:
        self._pieces = [GOOD]

    def read(self, _size: int) -> bytes:
        if not self._pieces:
            raise OSError(5, "Input/output error")
        return self._pieces.pop()


def test_a_failure_of_what_can_be_read_once_comes_at_its_place_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=_Failing()))
    with Archives([None], Received(None, NOW), None) as archives:
        looked_at(archives)
        first, end = archives.entries(nothing)
    assert isinstance(first, RecordedResponse)
    assert isinstance(end, Problem)
    assert "input/output error" in end.reason


def test_what_cannot_be_kept_is_one_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD * 100)))
    monkeypatch.setattr("pipeline.transfer.streams._KEPT_IN_MEMORY", 10)
    monkeypatch.setattr("tempfile.tempdir", "/absent")
    with (
        Archives([None], Received(None, NOW), None) as archives,
        pytest.raises(Trouble, match=r"standard input cannot be kept in /absent: .*TMPDIR"),
    ):
        looked_at(archives)
