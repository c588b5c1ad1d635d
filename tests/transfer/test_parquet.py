"""Parquet: every column in its type, a row group per month, files in folders of months."""

import random
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from string import ascii_letters
from threading import get_ident
from typing import Any

import pytest

from pipeline import __version__
from pipeline.files import filling, replacing
from pipeline.model.fields import Kind
from pipeline.store.migration_files import shipped_migrations
from pipeline.transfer.export import COLUMNS, NAMES, Selection
from tests.support.commands import PIPELINE, call, environment
from tests.support.exports import IBM, PEP, at, observed, open_state, parquet, plain, store_all, view


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
    await store_all(database, *(observed(s, day, EPS=str(n)) for s in (PEP, IBM) for n, day in enumerate(days)))
    file = pq.ParquetFile(parquet(database))
    groups = [file.read_row_group(n, ["symbol", "eps"]).to_pylist() for n in range(file.num_row_groups)]
    assert [[(row["symbol"], row["eps"]) for row in group] for group in groups] == [
        [("IBM", 0), ("PEP", 0)],
        [("IBM", 1), ("IBM", 2), ("PEP", 1), ("PEP", 2)],
        [("IBM", 3), ("PEP", 3)],
    ]


async def test_a_month_too_large_for_memory_has_several_row_groups(
    long_database: Path, pq: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.transfer import parquet as module  # noqa: PLC0415 - needs the extra

    monkeypatch.setattr(module, "_PIECE", 128)
    monkeypatch.setattr(module, "_GROUP", 512)
    file = pq.ParquetFile(parquet(long_database))
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert max(sizes) == 512
    assert file.read().num_rows == sum(sizes) == len(view(long_database))
    read = [{name: plain(value) for name, value in row.items()} for row in file.read().to_pylist()]
    assert sorted(read, key=lambda row: (row["symbol"], row["observed_at"])) == view(long_database)


async def test_parquet_names_its_schema_and_program_and_is_compressed_with_dictionaries(kept: Path, pq: Any) -> None:
    file = pq.ParquetFile(parquet(kept))
    assert file.schema_arrow.metadata[b"overview_pipeline.schema"] == str(len(shipped_migrations())).encode()
    assert file.schema_arrow.metadata[b"overview_pipeline.version"] == __version__.encode()
    columns = [file.metadata.row_group(0).column(n) for n in range(len(COLUMNS))]
    assert {column.compression for column in columns} == {"ZSTD"}
    by_kind = {kind: [column for column, (_, k) in zip(columns, COLUMNS, strict=True) if k is kind] for kind in Kind}
    assert all("RLE_DICTIONARY" in column.encodings for column in by_kind[Kind.TEXT])
    assert all("DELTA_BINARY_PACKED" in column.encodings for column in by_kind[Kind.INSTANT])
    assert [column.path_in_schema for column in columns if column.is_stats_set] == [
        "symbol", "observed_at", "confirmed_at",
    ]  # fmt: skip
    sorting = file.metadata.row_group(0).sorting_columns
    assert [columns[one.column_index].path_in_schema for one in sorting] == ["symbol", "observed_at"]


async def test_what_snapshots_share_is_in_a_row_group_once(database: Path, pq: Any) -> None:
    described = "".join(random.Random(1).choices(ascii_letters, k=20_000))
    first = at("2026-03-01")
    documents = (
        {"Symbol": "IBM", "Description": described, "RevenueTTM": str(2**40), "EPS": f"{n}"} for n in range(60)
    )
    await store_all(database, *((IBM, first + n * timedelta(hours=1), each) for n, each in enumerate(documents)))
    group = pq.ParquetFile(parquet(database)).metadata.row_group(0)
    sizes = {group.column(n).path_in_schema: group.column(n).total_compressed_size for n in range(len(COLUMNS))}
    assert group.num_rows == 60
    assert sizes["description"] < 1.1 * len(described)
    assert sizes["revenue_ttm"] < 120


async def test_an_export_is_one_state_whatever_a_run_writes_meanwhile(database: Path, pq: Any) -> None:
    from pipeline.transfer.parquet import groups  # noqa: PLC0415 - needs the extra

    await store_all(database, *(observed(symbol, f"2026-0{n}-15", EPS=f"{n}") for symbol in (IBM, PEP) for n in (1, 3)))
    before = view(database)
    read = []
    with open_state(database) as db:
        for group in groups(db, Selection()):
            read += group.table.to_pylist()
            await store_all(database, observed(IBM, "2026-03-16", Name="new"), observed(PEP, "2026-04-01", EPS="9"))
    assert len(view(database)) == 6
    assert sorted([{name: plain(value) for name, value in row.items()} for row in read], key=key) == before


def key(row: dict[str, Any]) -> tuple[str, str]:
    return row["symbol"], row["observed_at"]


async def test_an_interrupted_export_leaves_the_old_file_and_no_other(kept: Path, tmp_path: Path, pq: Any) -> None:
    from pipeline.transfer.parquet import Group, groups, write, write_partitioned  # noqa: PLC0415 - needs the extra

    def interrupted(db: sqlite3.Connection) -> Iterator[Group]:
        yield from groups(db, Selection())
        raise KeyboardInterrupt

    target = tmp_path / "out" / "old.parquet"
    target.parent.mkdir()
    target.write_bytes(b"old")
    with open_state(kept) as db:
        with pytest.raises(KeyboardInterrupt), replacing(target, check=lambda _: None) as file:
            write(file, (group.table for group in interrupted(db)))
        with pytest.raises(KeyboardInterrupt), filling(tmp_path / "out" / "partitions", check=lambda _: None) as folder:
            write_partitioned(folder, interrupted(db))
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == b"old"


async def test_only_the_thread_that_ctrl_c_interrupts_waits_for_the_file(
    long_database: Path, pq: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.transfer import parquet as module  # noqa: PLC0415 - needs the extra

    threads = set()

    class File(BytesIO):
        def writelines(self, lines: Any) -> None:
            threads.add(get_ident())
            super().writelines(lines)

        def write(self, data: Any) -> int:
            threads.add(get_ident())
            return super().write(data)

    monkeypatch.setattr(module, "_BUFFER", 1_024)
    file = File()
    with open_state(long_database) as db:
        module.write(file, (group.table for group in module.groups(db, Selection())))
    assert threads == {get_ident()}
    assert pq.read_table(file).num_rows == len(view(long_database))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE snapshots SET observed_at = 'yesterday' WHERE symbol = 'PEP'",
        "UPDATE snapshots SET reconfirmed_at = '2026-01-32T00:00:00.000Z' WHERE symbol = 'PEP'",
        "UPDATE snapshots SET extra = CAST(x'ff41' AS TEXT)",
        "UPDATE profiles SET name = CAST(x'ff41' AS TEXT)",
        "UPDATE statements SET latest_quarter = 'Q1'",
    ],
)
def test_a_damaged_value_is_one_line_and_no_file(kept: Path, tmp_path: Path, damage: str, pq: Any) -> None:
    with closing(sqlite3.connect(kept)) as db:
        db.execute(damage)
        db.commit()
    done = call(tmp_path, "--database", str(kept), "export", "--output", "x.parquet")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(kept) in done.err
    assert not (tmp_path / "x.parquet").exists()


async def test_parquet_holds_the_selection_alone(database: Path, pq: Any) -> None:
    days = ("01-15", "02-14", "02-15", "03-15", "03-16", "04-15")
    await store_all(
        database, *(observed(symbol, f"2026-{day}", EPS=day.replace("-", ".")) for symbol in (IBM, PEP) for day in days)
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


@pytest.mark.process
def test_parquet_goes_through_a_pipe(kept: Path, tmp_path: Path, pq: Any) -> None:
    done = subprocess.run(
        [PIPELINE, "--database", kept, "export", "--output", "-", "--format", "parquet"],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=True,
    )  # fmt: skip
    assert pq.read_table(BytesIO(done.stdout)).num_rows == 3
