"""Tables of users, to be joined: whatever is in them, each is joined or refused in one line."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.model.fields import find_fields
from pipeline.query.join import JoinError, Joining
from pipeline.query.known import Known
from pipeline.store.reader import open_for_reading
from pipeline.transfer.joining import join_csv, join_jsonl
from pipeline.transfer.streams import open_stream
from tests.support.bad_bytes import bad_bytes
from tests.support.observations import database_of, seen

CSV = b'symbol,time,note\r\nIBM,2026-03-15,"a ""b"""\nPEP,2026-03-15T18:30:00+01:00,\n'
JSON_LINES = b'{"symbol": "IBM", "time": "2026-03-15T18:30Z", "n": [1.0]}\n{"symbol": null, "time": "2026-03-15"}\n'


@pytest.fixture(scope="module")
def joining() -> Iterator[Joining]:
    with open_for_reading(database_of([seen(0, EPS="1.5")])) as db:
        yield Joining(Known(db, find_fields(["eps", "name"], ())))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("join", [join_csv, join_jsonl])
@example(content=gzip.compress(CSV)[:2] + b"\xff" + gzip.compress(CSV)[3:])
@given(content=bad_bytes(CSV, JSON_LINES, gzip.compress(CSV), gzip.compress(JSON_LINES)))
def test_lines_are_joined_or_refused_in_one_line(
    folder: Path, joining: Joining, join: Callable[..., int], content: bytes
) -> None:
    path = folder / "table"
    path.write_bytes(content)
    with open_stream(path, lambda _bytes: None) as stream:
        assert_joined_or_refused(lambda: join(stream, io.BytesIO(), joining))


@pytest.mark.parametrize("time", ["2026-03-15", "never"])
def test_long_cells_are_read_and_other_readers_keep_their_limit(folder: Path, joining: Joining, time: str) -> None:
    usual = csv.field_size_limit()
    path = folder / "long.csv"
    path.write_text(f"symbol,time,note\nIBM,{time},{'x' * (usual + 1)}\n")

    with open_stream(path, lambda _bytes: None) as stream:
        assert_joined_or_refused(lambda: join_csv(stream, io.BytesIO(), joining))

    assert csv.field_size_limit() == usual


@pytest.fixture(scope="module")
def parquet_file() -> bytes:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    target = io.BytesIO()
    pq.write_table(pa.table({"symbol": ["IBM", "PEP"], "time": ["2026-03-15", "2026-03-16"]}), target)
    return target.getvalue()


@settings(max_examples=50)
@given(data=st.data())
def test_parquet_is_joined_or_refused_in_one_line(joining: Joining, parquet_file: bytes, data: st.DataObject) -> None:
    from pipeline.transfer import joined_parquet  # noqa: PLC0415 - needs the extra parquet

    content = data.draw(bad_bytes(parquet_file) | flipped(parquet_file))

    def join() -> int:
        with joined_parquet.open_parquet(io.BytesIO(content)) as opened:
            return joined_parquet.join_parquet(opened, io.BytesIO(), joining, lambda _rows: None)

    assert_joined_or_refused(join)


def flipped(content: bytes) -> st.SearchStrategy[bytes]:
    """Return the content with a byte changed, which leaves its end valid most of the time."""

    def flip(place: int, byte: int) -> bytes:
        return content[:place] + bytes([byte]) + content[place + 1 :]

    return st.builds(flip, st.integers(0, len(content) - 1), st.integers(0, 255))


def assert_joined_or_refused(join: Callable[[], Any]) -> None:
    refusal = ""
    try:
        join()
    except JoinError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 400
