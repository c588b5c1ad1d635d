"""Exports: every column and every document as it is kept, in a file that is whole or absent."""

import csv
import gzip
import importlib.util
import json
import resource
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from pipeline import instants
from pipeline.model.document import Document, Overview
from pipeline.model.fields import CATALOGUE, Kind
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.model.symbols import Symbol
from pipeline.sandbox.companies import Companies
from pipeline.store.migrate import shipped_migrations
from pipeline.store.reader import open_for_reading
from pipeline.store.runs import Store, SymbolResult
from pipeline.store.writer import open_writer
from pipeline.transfer.export import (
    COLUMNS,
    NAMES,
    Selection,
    expected,
    one_state,
    originals,
    rows,
    write_jsonl,
    write_rows_csv,
    write_rows_jsonl,
)
from tests.support.clocks import START
from tests.support.commands import PIPELINE, call, environment, pipeline
from tests.support.storing import store_overview

IBM, PEP = Symbol("IBM"), Symbol("PEP")
LATER = START + timedelta(days=1000)
FULL: Document = {
    field.name: {Kind.TEXT: f"a {field.name}", Kind.INTEGER: str(n), Kind.REAL: f"{n}.25", Kind.DATE: "2025-12-31"}[
        field.kind
    ]
    for n, field in enumerate(CATALOGUE, start=2**40)
}
"""A document with a value of its own in every column."""
Looked = tuple[Symbol, datetime, Document]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def keep(database: Path, *looks: Looked) -> None:
    """Keep the documents, each seen at its instant; an empty one as of a symbol that is not covered."""
    async with open_writer(database) as writer:
        store = Store(writer)
        for symbol, instant, document in looks:
            run = await store.begin(Trigger.MANUAL, at=LATER, symbols=1, due=1)
            if document:
                await store_overview(store, run, Overview(symbol, document), at=instant)
            else:
                await store.note(SymbolResult(run, symbol, Outcome.UNKNOWN, 1, instant))


def seen(symbol: Symbol, day: str, **fields: Any) -> Looked:
    return symbol, at(day), {"Symbol": symbol, "Name": "x", "EPS": "1", **fields}


@pytest.fixture
async def kept(database: Path) -> Path:
    """A full document and one with no value at all, in two months."""
    empty = {field.name: field.missing for field in CATALOGUE}
    await keep(
        database,
        (IBM, at("2026-01-31T23:59:59.999"), {**FULL, "Symbol": "IBM", "New": 1}),
        (IBM, at("2026-02-01T00:00"), {**empty, "Symbol": "IBM"}),
        seen(PEP, "2026-01-15T12:00"),
        seen(PEP, "2026-01-16T12:00"),
    )
    return database


@contextmanager
def state(database: Path) -> Iterator[sqlite3.Connection]:
    with open_for_reading(database) as db, one_state(db):
        yield db


def exported(database: Path, selection: Selection = Selection()) -> list[dict[str, Any]]:  # noqa: B008 - frozen
    with state(database) as db:
        return [dict(zip(NAMES, row, strict=True)) for row in rows(db, selection)]


def as_file(write: Any, items: Any) -> bytes:
    file = BytesIO()
    write(file, items)
    return file.getvalue()


def view(database: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(database)) as db:
        cursor = db.execute("SELECT * FROM overviews ORDER BY symbol, observed_at")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


# Rows


async def test_rows_are_those_of_the_view_column_by_column(kept: Path) -> None:
    assert [list(row) for row in view(kept)] == [list(NAMES)] * 3
    assert exported(kept) == view(kept)


async def test_every_column_of_the_full_document_has_a_value_and_none_of_the_empty_one(kept: Path) -> None:
    full, empty, _ = exported(kept)
    assert [name for name, value in full.items() if value is None] == []
    assert [name for name in empty if empty[name] is not None] == ["symbol", "observed_at", "confirmed_at"]


async def test_csv_has_every_value_and_leaves_missing_empty(kept: Path) -> None:
    with state(kept) as db:
        text = as_file(write_rows_csv, rows(db, Selection())).decode()
    read = list(csv.DictReader(text.splitlines()))
    kinds: dict[str, type] = {Kind.INTEGER: int, Kind.REAL: float}
    typed = [{name: kinds.get(kind, str)(row[name]) if row[name] else None for name, kind in COLUMNS} for row in read]
    assert typed == view(kept)


async def test_csv_is_harmless_to_a_spreadsheet_and_leaves_numbers_alone(database: Path) -> None:
    await keep(database, seen(IBM, "2026-01-01", Name="=1+1", Description="a\rb", EPS="-1.5"))
    with state(database) as db:
        text = as_file(write_rows_csv, rows(db, Selection())).decode()
    (row,) = csv.DictReader(iter([*text.split("\n")[:1], text.split("\n", 1)[1].rstrip("\n")]))
    assert (row["name"], row["description"], row["eps"]) == ("'=1+1", "a\rb", "-1.5")
    assert '"a\rb"' in text


async def test_json_lines_have_numbers_as_numbers_and_missing_as_null(kept: Path) -> None:
    with state(kept) as db:
        lines = as_file(write_rows_jsonl, rows(db, Selection())).decode().splitlines()
    assert [json.loads(line) for line in lines] == view(kept)


async def test_no_line_acts_on_a_terminal(database: Path) -> None:
    await keep(database, seen(IBM, "2026-01-01", Name="é\x9b31m\u202e\x1b"))
    with state(database) as db:
        (line,) = as_file(write_rows_jsonl, rows(db, Selection())).decode().splitlines()
    assert json.loads(line)["name"] == "é\x9b31m\u202e\x1b"
    assert "é" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("selection", "days"),
    [
        (Selection(since=at("2026-01-02T12:00")), [("IBM", 2), ("IBM", 3), ("PEP", 2)]),
        (Selection(since=at("2026-01-02T12:00:00.001")), [("IBM", 3)]),
        (Selection(until=at("2026-01-01T12:00")), [("IBM", 1), ("PEP", 1)]),
        (Selection(until=at("2026-01-01T11:59:59.999")), []),
        (Selection((IBM,), at("2026-01-02"), at("2026-01-03")), [("IBM", 2)]),
        (Selection((PEP, Symbol("NONE"))), [("PEP", 1), ("PEP", 2)]),
    ],
)
async def test_a_selection_takes_the_ends_of_its_interval_in(
    database: Path, selection: Selection, days: Sequence[tuple[str, int]]
) -> None:
    await keep(database, *(seen(IBM, f"2026-01-0{day}T12:00", EPS=str(day)) for day in (1, 2, 3)))
    await keep(database, *(seen(PEP, f"2026-01-0{day}T12:00", EPS=str(day)) for day in (1, 2)))

    assert [(row["symbol"], int(row["eps"])) for row in exported(database, selection)] == days


async def test_what_is_expected_is_what_comes(kept: Path) -> None:
    with state(kept) as db:
        assert expected(db, Selection()) == 3
        assert expected(db, Selection((IBM,))) == 2
        assert expected(db, Selection(until=START)) is None


async def test_it_is_one_state_while_a_run_writes(kept: Path) -> None:
    with state(kept) as db:
        read = rows(db, Selection())
        first = next(read)
        await keep(kept, seen(PEP, "2026-03-01", EPS="7"))
        assert len([first, *read]) == 3
        assert expected(db, Selection()) == 3
    assert len(exported(kept)) == 4


# Documents


async def test_originals_are_the_documents_received_with_their_later_looks(database: Path) -> None:
    odd: Document = {"EPS": "1.50", "Symbol": "IBM", "New": {"b": [1, 1.0, True, None], "a": "é"}, "Beta": 10**30}
    await keep(
        database,
        (IBM, at("2026-01-02"), {}),
        (IBM, at("2026-01-03"), odd),
        (IBM, at("2026-01-04"), odd),
        (IBM, at("2026-01-05T06:07:08.009"), odd),
        seen(IBM, "2026-01-06"),
        seen(IBM, "2026-01-07"),
        seen(PEP, "2026-01-01"),
    )
    with state(database) as db:
        lines = as_file(write_jsonl, originals(db, Selection())).decode().splitlines()
    assert [json.dumps(json.loads(line)) for line in lines] == [
        json.dumps(line)
        for line in (
            {"symbol": "IBM", "observed_at": "2026-01-02T00:00:00.000Z", "document": {}},
            {
                "symbol": "IBM",
                "observed_at": "2026-01-03T00:00:00.000Z",
                "document": odd,
                "looks": ["2026-01-04T00:00:00.000Z", "2026-01-05T06:07:08.009Z"],
            },
            {
                "symbol": "IBM",
                "observed_at": "2026-01-06T00:00:00.000Z",
                "document": {"Symbol": "IBM", "Name": "x", "EPS": "1"},
                "looks": ["2026-01-07T00:00:00.000Z"],
            },
            {
                "symbol": "PEP",
                "observed_at": "2026-01-01T00:00:00.000Z",
                "document": {"Symbol": "PEP", "Name": "x", "EPS": "1"},
            },
        )
    ]


async def test_originals_of_an_interval_keep_to_it(database: Path) -> None:
    await keep(database, (IBM, at("2026-01-01"), {}), (PEP, at("2026-01-02"), {}), seen(PEP, "2026-01-03"))
    with state(database) as db:
        interval = Selection(since=at("2026-01-02"), until=at("2026-01-02"))
        assert [line["symbol"] for line in originals(db, interval)] == ["PEP"]
        assert [line["symbol"] for line in originals(db, Selection((IBM,)))] == ["IBM"]


# The command


def test_the_name_of_the_file_says_the_format(kept: Path, tmp_path: Path) -> None:
    for name in ("out.csv", "out.jsonl"):
        done = call(tmp_path, "--database", str(kept), "export", "--output", name)
        assert (done.code, done.err) == (0, "")
        assert done.out == f"{name}: 3 rows, {(tmp_path / name).stat().st_size:,} bytes\n"
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("options", [["out.csv"], ["out.jsonl"], ["out.jsonl", "--original"]])
def test_a_name_that_ends_in_gz_is_written_compressed(kept: Path, tmp_path: Path, options: list[str]) -> None:
    name, *rest = options
    for output in (name, f"{name}.gz"):
        assert call(tmp_path, "--database", str(kept), "export", "--output", output, *rest).code == 0

    assert gzip.decompress((tmp_path / f"{name}.gz").read_bytes()) == (tmp_path / name).read_bytes()


def test_parquet_is_not_compressed_again(kept: Path, tmp_path: Path) -> None:
    done = call(tmp_path, "--database", str(kept), "export", "--output", "out.parquet.gz")

    assert (done.code, done.out) == (2, "")
    assert "FILE.parquet" in done.err


async def test_standard_output_takes_the_data_alone(kept: Path, tmp_path: Path) -> None:
    done = await pipeline(
        tmp_path, "--database", str(kept), "export", "--output", "-", "--format", "csv", "PEP",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert [line[:4] for line in done.out.splitlines()] == ["symb", "PEP,"]


def test_a_symbol_of_which_nothing_is_kept_ends_with_1_and_names_the_nearest(kept: Path, tmp_path: Path) -> None:
    done = call(tmp_path, "--database", str(kept), "export", "--output", "x.csv", "PEPP")
    assert (done.code, done.out) == (1, "")
    assert "no snapshot of PEPP: did you mean PEP?" in done.err
    assert not (tmp_path / "x.csv").exists()


def test_json_says_what_was_written(kept: Path, tmp_path: Path) -> None:
    done = call(
        tmp_path, "--database", str(kept), "export", "--original", "--output", "o", "--json", "--until", "2026-01-31",
    )  # fmt: skip
    assert json.loads(done.out) == {"file": "o", "rows": 2, "bytes": (tmp_path / "o").stat().st_size}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "x"],
        ["--output", "-"],
        ["--output", "x.csv", "--original"],
        ["--output", "x.parquet", "--original"],
        ["--output", "x.csv", "--partition"],
        ["--output", "-", "--partition"],
        ["--output", "x", "--original", "--partition"],
        ["--output", "-", "--format", "csv", "--json"],
        [],
    ],
)
def test_what_does_not_go_together_is_told(kept: Path, tmp_path: Path, arguments: list[str]) -> None:
    done = call(tmp_path, "--database", str(kept), "export", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(kept.name)) == []


def test_without_a_record_no_file_is_made(tmp_path: Path) -> None:
    done = call(tmp_path, "--database", "absent.db", "export", "--output", "x.csv")
    assert (done.code, done.err.count("no database at")) == (1, 1)
    assert list(tmp_path.iterdir()) == []


async def test_without_pyarrow_the_remedy_is_told(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "path" / "pyarrow").mkdir(parents=True)
    (tmp_path / "path" / "pyarrow" / "__init__.py").write_text("raise ImportError")
    done = await pipeline(
        tmp_path, "--database", str(kept), "export", "--output", "x.parquet", PYTHONPATH=str(tmp_path / "path")
    )
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "pyarrow" in done.err
    assert "pip install 'overview-pipeline[parquet]'" in done.err
    assert not (tmp_path / "x.parquet").exists()


@pytest.fixture
async def long(database: Path) -> Path:
    """A record that takes a while: more than a pipe holds, or a small disk."""
    company = Companies()
    day = date(2026, 3, 2)
    documents = [(Symbol(symbol), company.document(Symbol(symbol), day)) for symbol in list(company.symbols)[:20]]
    await keep(database, *((symbol, at("2026-03-02"), dict(found)) for symbol, found in documents if found))
    with closing(sqlite3.connect(database)) as db:
        names = [
            row[1] for row in db.execute("PRAGMA table_info(snapshots)") if row[1] not in ("symbol", "observed_at")
        ]
        db.execute(
            f"""
            WITH RECURSIVE days (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM days WHERE n < 100)
            INSERT INTO snapshots (symbol, observed_at, {", ".join(names)})
            SELECT symbol, strftime('%Y-%m-%dT%H:%M:%S.000Z', observed_at, '+' || n || ' days'), {", ".join(names)}
              FROM snapshots, days
            """
        )
        db.commit()
    return database


def forms() -> Iterator[Any]:
    yield from (["--format", "csv"], ["--format", "jsonl"], ["--original"])
    yield pytest.param(["--format", "parquet"], marks=needs_pyarrow)


def _has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


needs_pyarrow = pytest.mark.skipif(not _has_pyarrow(), reason="pyarrow is not installed")


@pytest.mark.parametrize("form", list(forms()))
def test_a_reader_that_leaves_ends_it_quietly(long: Path, tmp_path: Path, form: list[str]) -> None:
    with subprocess.Popen(
        [PIPELINE, "--database", long, "export", "--output", "-", *form],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("form", list(forms()))
def test_a_full_disk_is_one_line_and_leaves_the_old_file(long: Path, tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "out").write_bytes(b"old")
    done = subprocess.run(
        [PIPELINE, "--database", long, "export", "--output", "out", *form],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=False, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"pipeline: {tmp_path}/out cannot be written: file too large\n"
    assert (tmp_path / "out").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []


# Parquet


@pytest.fixture
def pq() -> Any:
    return pytest.importorskip("pyarrow.parquet")


def parquet(database: Path, selection: Selection = Selection()) -> BytesIO:  # noqa: B008 - frozen
    from pipeline.transfer.parquet import groups, write  # noqa: PLC0415 - needs the extra

    file = BytesIO()
    with state(database) as db:
        write(file, (group.table for group in groups(db, selection)))
    return file


def plain(value: object) -> object:
    """Return a value of a Parquet file as the database has it."""
    if isinstance(value, datetime):
        assert value.utcoffset() == timedelta(0)
        return instants.to_text(value)
    return value.isoformat() if isinstance(value, date) else value


async def test_parquet_has_every_column_in_its_type_and_every_value(kept: Path, pq: Any) -> None:
    table = pq.read_table(parquet(kept))
    names = {
        Kind.TEXT: "dictionary<values=string, indices=int32, ordered=0>",
        Kind.INTEGER: "int64",
        Kind.REAL: "double",
        Kind.DATE: "date32[day]",
        "instant": "timestamp[ms, tz=UTC]",
        "json": "string",
    }
    assert [(field.name, str(field.type)) for field in table.schema] == [(name, names[kind]) for name, kind in COLUMNS]
    read = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
    assert [row["confirmed_at"] for row in read if row["symbol"] == "PEP"] == ["2026-01-16T12:00:00.000Z"]
    assert sorted(read, key=lambda row: (row["symbol"], row["observed_at"])) == view(kept)


async def test_a_row_group_holds_one_month_by_symbol_and_instant(database: Path, pq: Any) -> None:
    days = ("2025-12-31T23:59:59.999", "2026-01-01", "2026-01-02", "2026-03-01")
    await keep(database, *(seen(s, day, EPS=str(n)) for s in (PEP, IBM) for n, day in enumerate(days)))
    file = pq.ParquetFile(parquet(database))
    groups = [file.read_row_group(n, ["symbol", "eps"]).to_pylist() for n in range(file.num_row_groups)]
    assert [[(row["symbol"], row["eps"]) for row in group] for group in groups] == [
        [("IBM", 0), ("PEP", 0)],
        [("IBM", 1), ("IBM", 2), ("PEP", 1), ("PEP", 2)],
        [("IBM", 3), ("PEP", 3)],
    ]


async def test_a_month_too_large_for_memory_has_several_row_groups(
    long: Path, pq: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.transfer import parquet as module  # noqa: PLC0415 - needs the extra

    monkeypatch.setattr(module, "_GROUP", 512)
    file = pq.ParquetFile(parquet(long))
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert max(sizes) == 512
    assert file.read().num_rows == sum(sizes) == len(view(long))
    read = [{name: plain(value) for name, value in row.items()} for row in file.read().to_pylist()]
    assert sorted(read, key=lambda row: (row["symbol"], row["observed_at"])) == view(long)


async def test_parquet_says_what_it_comes_from_and_is_compressed_with_dictionaries(kept: Path, pq: Any) -> None:
    from pipeline import __version__  # noqa: PLC0415

    file = pq.ParquetFile(parquet(kept))
    assert file.schema_arrow.metadata[b"overview_pipeline.schema"] == str(len(shipped_migrations())).encode()
    assert file.schema_arrow.metadata[b"overview_pipeline.version"] == __version__.encode()
    columns = [file.metadata.row_group(0).column(n) for n in range(len(COLUMNS))]
    assert {column.compression for column in columns} == {"ZSTD"}
    texts = [column for column, (_, kind) in zip(columns, COLUMNS, strict=True) if kind is Kind.TEXT]
    assert all("RLE_DICTIONARY" in column.encodings for column in texts)


async def test_parquet_of_an_interval_keeps_to_it(database: Path, pq: Any) -> None:
    days = ("01-15", "02-14", "02-15", "03-15", "03-16", "04-15")
    await keep(
        database, *(seen(symbol, f"2026-{day}", EPS=day.replace("-", ".")) for symbol in (IBM, PEP) for day in days)
    )
    selection = Selection((IBM,), since=at("2026-02-15"), until=at("2026-03-15"))
    assert pq.read_table(parquet(database, selection))["observed_at"].to_pylist() == [
        at("2026-02-15"), at("2026-03-15"),
    ]  # fmt: skip


async def test_parquet_of_nothing_has_its_columns(database: Path, pq: Any) -> None:
    table = pq.read_table(parquet(database))
    assert (table.num_rows, table.column_names) == (0, list(NAMES))


def test_partitions_are_folders_of_a_month(kept: Path, tmp_path: Path, pq: Any) -> None:
    done = call(tmp_path, "--database", str(kept), "export", "--partition", "--output", "out")
    assert (done.code, done.err) == (0, "")
    files = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert [str(path.relative_to(tmp_path / "out")) for path in files] == [
        "year=2026/month=01/part-0.parquet",
        "year=2026/month=02/part-0.parquet",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    read = pq.read_table(tmp_path / "out", partitioning="hive").to_pylist()
    assert [(row["symbol"], row["year"], row["month"]) for row in read] == [
        ("IBM", 2026, 1), ("PEP", 2026, 1), ("IBM", 2026, 2),
    ]  # fmt: skip

    again = call(tmp_path, "--database", str(kept), "export", "--partition", "--output", "out")
    assert (again.code, "is not empty" in again.err) == (1, True)


def test_parquet_goes_through_a_pipe(kept: Path, tmp_path: Path, pq: Any) -> None:
    done = subprocess.run(
        [PIPELINE, "--database", kept, "export", "--output", "-", "--format", "parquet"],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=True,
    )  # fmt: skip
    assert pq.read_table(BytesIO(done.stdout)).num_rows == 3


def test_a_table_is_made_of_rows_with_instants_and_dates_as_text_or_not(pq: Any) -> None:
    from pipeline.query.arrow import TYPES, table  # noqa: PLC0415 - needs the extra

    columns = [("t", Kind.TEXT), ("i", Kind.INTEGER), ("r", Kind.REAL), ("d", Kind.DATE), ("at", "instant")]
    day, instant = date(2026, 3, 1), at("2026-03-01T01:02:03.004")
    texts = [("x", 1, 1.5, "2026-03-01", "2026-03-01T01:02:03.004Z"), (None,) * 5]
    values = [("x", 1, 1.5, day, instant), (None,) * 5]
    for given in (texts, values, [(None,) * 5], []):
        made = table(columns, given)  # type: ignore[arg-type]
        assert made.schema.types == [TYPES[kind] for _, kind in columns]  # type: ignore[index]
        assert [tuple(row.values()) for row in made.to_pylist()] == [values[0] if row[0] else row for row in given]
