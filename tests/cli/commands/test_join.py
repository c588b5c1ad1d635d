"""`pipeline join`: tables of all formats keep their rows and columns, and are refused whole or not at all."""

import csv
import gzip
import io
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.query.join import Joining, joined_rows
from pipeline.query.results import Row
from pipeline.transfer import joining
from tests.support.commands import PIPELINE, Ended, assert_note, assert_refused, environment, query, run_shell
from tests.support.observations import text

FIRST = text(0)
BEFORE = "2026-03-14T18:29:59.999Z"
CSV = (
    'id,symbol,time,note,price\n'
    f'007,IBM,{FIRST},"=1+1, ""quoted""",1.50\n'
    f"008,ibm,{BEFORE},,1e3\n"
    f'009,PEP,2026-03-16,"two\nlines",\n'
    f"010,NOPE,2026-03-15T00:00:00+01:00,é,0\n"
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_ROWS_AT_ONCE", 2)


def join(stored: Path, file: Path, output: Path, *arguments: str) -> Ended:
    return query(stored, "join", str(file), *arguments, "--output", str(output))


def written(stored: Path, file: Path, *arguments: str) -> str:
    """Return what a join writes into a file of the same format."""
    output = file.with_name(f"known{''.join(file.suffixes)}")
    ended = join(stored, file, output, *arguments)
    assert ended.code == 0, ended.err
    return output.read_text(encoding="utf-8")


def cells(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table, newline="")))


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_csv_keeps_every_cell_and_order(stored: Path, trades: Path) -> None:
    table = written(stored, trades, "PERatio", "name")
    given, found = cells(CSV), cells(table)
    assert [{name: row[name] for name in given[0]} for row in found] == given
    assert list(found[0])[5:] == ["pe_ratio", "name", "observed_at", "staleness_hours"]
    assert [tuple(row.values())[5:] for row in found] == [
        ("10.0", "An Example Inc", FIRST, "0.0"),
        ("", "", "", ""),
        ("20.0", "Pop", text(26), "27.4999997"),
        ("", "", "", ""),
    ]


def test_unknown_symbols_are_named(stored: Path, trades: Path) -> None:
    ended = join(stored, trades, trades.with_name("out.csv"), "pe_ratio", "--json")
    assert_note(ended, "1 symbol", "NOPE")
    assert ended.json["rows"] == 4


def test_json_lines_keep_every_spelling(stored: Path, tmp_path: Path) -> None:
    trades = tmp_path / "trades.jsonl"
    lines = [
        f'{{"time": "{FIRST}",   "price":1.50, "symbol":"ibm", "nested": {{"a": [1.0, null]}} }}',
        f'{{"symbol":null,"time":"{FIRST}"}}',
        '{"symbol":"PEP","time":"2026-03-16","big":12345678901234567890}',
    ]
    trades.write_text("\n\n".join(lines), encoding="utf-8-sig")
    found = written(stored, trades, "pe_ratio").splitlines()
    for line, joined in zip(lines, found, strict=True):
        assert joined.startswith(line.removesuffix("}").rstrip() + ", ")
    assert [json.loads(line)["pe_ratio"] for line in found] == [10, None, 20]
    assert list(json.loads(found[0]))[4:] == ["pe_ratio", "observed_at", "staleness_hours"]


def test_parquet_keeps_types_and_order(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    from pipeline.transfer import joined_parquet  # noqa: PLC0415 - needs pyarrow

    monkeypatch.setattr(joined_parquet, "_ROWS_AT_ONCE", 2)
    monkeypatch.setattr(joined_parquet, "_BATCH", 1)
    table = pa.table(
        {
            "when": pa.array([0, 1_773_513_000_000_000_000, 1 << 61], pa.timestamp("ns", "America/New_York")),
            "ticker": pa.array(["IBM", "ibm", "PEP"]).dictionary_encode(),
            "size": pa.array([1, None, 3], pa.int8()),
            "list": pa.array([[1], [], None], pa.list_(pa.decimal128(5, 2))),
        }
    ).replace_schema_metadata({"made by": "a test"})
    parquet.write_table(table, tmp_path / "trades.parquet")
    columns = ("--symbol-column", "ticker", "--time-column", "when")
    ended = join(stored, tmp_path / "trades.parquet", tmp_path / "known.parquet", "pe_ratio", "name", *columns)
    assert ended.code == 0, ended.err
    found = parquet.read_table(tmp_path / "known.parquet")
    assert found.select(table.column_names).equals(table)
    assert found.schema.metadata[b"made by"] == b"a test"
    assert found.column("pe_ratio").to_pylist() == [None, 10, 20]
    assert parquet.ParquetFile(tmp_path / "known.parquet").num_row_groups == 2

    days = pa.table({"symbol": ["IBM"] * 4, "time": ["2026-03-14"] * 3 + ["14.3.2026"]})
    parquet.write_table(days, tmp_path / "wrong.parquet")
    assert_refused(join(stored, tmp_path / "wrong.parquet", tmp_path / "no.parquet", "eps"), 1, "row 4", "14.3.2026")
    assert not (tmp_path / "no.parquet").exists()

    os.mkfifo(tmp_path / "pipe.parquet")
    with ThreadPoolExecutor() as pool:
        pool.submit((tmp_path / "pipe.parquet").write_bytes, (tmp_path / "trades.parquet").read_bytes())
        ended = join(stored, tmp_path / "pipe.parquet", tmp_path / "of_pipe.parquet", "pe_ratio", "name", *columns)
    assert ended.code == 0, ended.err
    assert parquet.read_table(tmp_path / "of_pipe.parquet").equals(found)

    parquet.write_table(table.slice(0, 0), tmp_path / "empty.parquet")
    ended = join(stored, tmp_path / "empty.parquet", tmp_path / "known.parquet", "pe_ratio", *columns)
    assert ended.code == 0, ended.err
    assert parquet.read_table(tmp_path / "known.parquet").num_columns == 7


def test_a_table_without_rows_gets_the_columns(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("symbol,time\n")
    assert written(stored, tmp_path / "empty.csv", "eps") == "symbol,time,eps,observed_at,staleness_hours\n"
    (tmp_path / "empty.jsonl").write_text("\n")
    assert written(stored, tmp_path / "empty.jsonl", "eps") == ""


def test_gzip_is_read_and_written(stored: Path, trades: Path) -> None:
    expected = written(stored, trades, "eps")
    packed = trades.with_name("trades.csv.gz")
    packed.write_bytes(gzip.compress(CSV.encode()))
    output = trades.with_name("known.csv.gz")
    assert join(stored, packed, output, "eps").code == 0
    assert gzip.decompress(output.read_bytes()).decode() == expected


def test_lag_staleness_zone_and_prefix(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,s,eps\n2026-03-14 14:30,IBM,x\n2026-03-15 14:30,IBM,y\n")
    options = ("--symbol-column", "s", "--time-column", "t", "--prefix", "k_", "--timezone", "America/New_York")
    found = cells(written(stored, tmp_path / "t.csv", "eps", *options))
    assert [(row["eps"], row["k_eps"], row["k_observed_at"]) for row in found] == [
        ("x", "1.0", FIRST), ("y", "1.0", text(2)),
    ]  # fmt: skip
    found = cells(written(stored, tmp_path / "t.csv", "eps", *options, "--lag", "1h", "--max-staleness", "20.9"))
    assert [row["k_eps"] for row in found] == ["", ""]
    found = cells(written(stored, tmp_path / "t.csv", "eps", *options, "--lag", "1h", "--max-staleness", "21"))
    assert [row["k_staleness_hours"] for row in found] == ["", "21.0"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "ticker,time\nIBM,2026-03-14\n", ["t.csv", "'symbol'", "ticker", "--symbol-column"]),
        ("t.csv", "symbol;time\nIBM;2026-03-14\n", ["symbol;time", "commas"]),
        ("t.csv", "symbol,date\nIBM,2026-03-14\n", ["'time'", "date", "--time-column"]),
        ("t.csv", "symbol,time,symbol\nIBM,2026-03-14,IBM\n", ["more than one column 'symbol'"]),
        ("t.csv", "symbol,time,eps\nIBM,2026-03-14,1\n", ["has eps already", "--prefix"]),
        ("t.csv", "symbol,time\n" + "IBM,2026-03-14\n" * 4 + "IBM,14.3.2026\n", ["row 5", "14.3.2026"]),
        ("t.csv", "symbol,time\nIBM,2026-03-14T10:00\n", ["row 1", "no time zone", "--timezone"]),
        ("t.csv", "symbol,time\nIBM,\n", ["row 1", "invalid timestamp"]),
        ("t.csv", "symbol,time\nIBM,2026-03-14,1\n", ["row 1", "3 cells", "header 2"]),
        ("t.csv", "symbol,time\nIBM,2026-03-14\nIBM\n", ["row 2", "1 cells"]),
        ("t.csv", 'symbol,time\n"IBM"x,2026-03-14\n', ["row 1", "cannot be read"]),
        ("t.csv", "", ["empty"]),
        ("t.csv", "symbol,time\nIBM\udcff,2026-03-14\n", ["not UTF-8"]),
        ("t.csv", '"symbol"x,time\nIBM,2026-03-14\n', ["header cannot be read"]),
        ("t.jsonl", '{"symbol": "IBM", "time": "2026-03-14"}\n{"symbol": "IBM"}\n', ["row 2", "'time'"]),
        ("t.jsonl", '{"symbol": "IBM", "time": 1773513000}\n', ["row 1", "1773513000"]),
        ("t.jsonl", '{"symbol": 1, "time": "2026-03-14"}\n', ["row 1", "symbol"]),
        ("t.jsonl", '{"symbol": "IBM", "time": "2026-03-14", "eps": 1}\n', ["row 1", "eps already"]),
        ("t.jsonl", "[1]\n", ["row 1", "object"]),
        ("t.jsonl", "{]\n", ["row 1", "JSON"]),
        ("t.csv.gz", "symbol,time\nIBM,2026-03-14\n", None),
        ("t.parquet", "PAR1 and no more", ["no Parquet"]),
    ],
)
def test_what_cannot_be_joined_is_refused_and_nothing_is_written(
    stored: Path, tmp_path: Path, name: str, content: str, words: list[str] | None
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    file, output = tmp_path / name, tmp_path / f"out{name[1:]}"
    plain = content.encode("utf-8", "surrogateescape")
    file.write_bytes(gzip.compress(plain)[:-9] if words is None else plain)
    output.write_text("as it was")

    assert_refused(join(stored, file, output, "eps"), 1, name, *(words or ["cut off"]))
    assert output.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, output.name])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("row 1.csv", f"symbol,time,x\nIBM,2026-03-14,{'x' * 1_000}\n"),
        ("row 1.csv", 'symbol,time,x\nIBM,2026-03-14,"' + "x\n" * 1_000),
        ("header.csv", "x" * 2_000),
        ("line 2.jsonl", f'{{"symbol": "IBM", "time": "2026-03-14"}}\n{{"x": "{"x" * 1_000}'),
    ],
)
def test_a_row_without_an_end_is_refused_before_it_fills_the_memory(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    monkeypatch.setattr(joining, "LONGEST_LINE", 1_000)
    (tmp_path / name).write_text(content)
    ended = join(stored, tmp_path / name, tmp_path / f"out-{name}", "eps")
    assert_refused(ended, 1, name, "1,000", f"{name.partition('.')[0]} ")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_few_large_rows_are_held_at_once(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    held: list[int] = []

    def counted(given: Joining, rows: Sequence[tuple[str, datetime]]) -> list[Row]:
        held.append(len(rows))
        return joined_rows(given, rows)

    monkeypatch.setattr(joining, "_ROWS_AT_ONCE", 1_000)
    monkeypatch.setattr(joining, "_SIZE_AT_ONCE", 5_000)
    monkeypatch.setattr(joining, "joined_rows", counted)
    file = tmp_path / f"t.{form}"
    large = "x" * 1_000
    row = f"IBM,{FIRST},{large}\n" if form == "csv" else f'{{"symbol": "IBM", "time": "{FIRST}", "x": "{large}"}}\n'
    file.write_text(("symbol,time,x\n" if form == "csv" else "") + row * 20)

    table = written(stored, file, "eps")
    assert table.count(large) == 20
    assert max(held) <= 5
    assert sum(held) == 20


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here of which no byte can be read")
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_that_cannot_be_read_is_not_taken_for_one_that_cannot_be_written(
    stored: Path, tmp_path: Path, form: str
) -> None:
    ended = join(stored, Path("/proc/self/mem"), tmp_path / f"out.{form}", "eps", "--format", form)
    assert_refused(ended, 1, "/proc/self/mem")
    assert "out." not in ended.err


def test_text_that_is_none_in_parquet_is_refused(stored: Path, tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    symbols = pa.array([b"IBM", b"\xe4BM"]).view(pa.string())  # as of a disk that flips a bit
    for column in (symbols, symbols.dictionary_encode()):
        pq.write_table(pa.table({"symbol": column, "time": [FIRST, FIRST]}), tmp_path / "t.parquet")
        ended = join(stored, tmp_path / "t.parquet", tmp_path / "out.parquet", "eps")
        assert_refused(ended, 1, "t.parquet", "damaged")


def test_a_zone_without_daylight_saving_time_is_noted(stored: Path, trades: Path) -> None:
    noted = join(stored, trades, trades.with_name("out.csv"), "eps", "--timezone", "EST").err
    assert "America/New_York" in noted
    assert "America" not in join(stored, trades, trades.with_name("out.csv"), "eps", "--timezone", "UTC").err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.csv", "eps", "--output", "x.csv"], 1, ["none.csv", "no such file"]),
        (["t.csv", "nope", "--output", "x.csv"], 2, ["nope"]),
        (["t.csv", "eps"], 2, ["--output"]),
        (["t.xls", "eps", "--output", "x.csv"], 2, ["t.xls", ".parquet"]),
        (["t.csv", "eps", "--output", "x.jsonl"], 2, ["CSV", "JSONL"]),
        (["t.csv", "eps", "--output", "-", "--json"], 2, ["--json"]),
        (["t.csv", "eps", "--output", "x.csv", "--timezone", "Mars/Olympus"], 2, ["Mars/Olympus"]),
        (["t.csv", "eps", "--output", "x.csv", "--lag", "soon"], 2, ["--lag"]),
    ],
)
def test_mistakes_are_one_line(stored: Path, tmp_path: Path, arguments: list[str], code: int, words: list[str]) -> None:
    (tmp_path / "t.csv").write_text("symbol,time\n")
    arguments = [str(tmp_path / one) if one.startswith(("t.", "x.", "none.")) else one for one in arguments]
    assert_refused(query(stored, "join", *arguments), code, *words)


@pytest.mark.process
def test_pipes_of_every_format_give_what_files_give(stored: Path, trades: Path) -> None:
    expected = written(stored, trades, "eps")
    script = f'"$PIPELINE" join - eps --database {stored} --output - < {trades}'
    assert run_shell(trades.parent, script).out == expected
    script = f'mkfifo pipe; cat {trades} > pipe & "$PIPELINE" join pipe eps --database {stored} --format csv --output -'
    assert run_shell(trades.parent, script).out == expected
    ended = run_shell(trades.parent, f"yes '{{\"symbol\":\"IBM\",\"time\":\"2026-03-15\"}}' |"
                      f' "$PIPELINE" join - eps --database {stored} --format jsonl --output - | head -n 1')  # fmt: skip
    assert json.loads(ended.out)["eps"] == 1
    assert ended.err == ""


@pytest.mark.process
def test_an_interrupt_leaves_no_half_file(stored: Path, tmp_path: Path) -> None:
    arguments = ["join", "-", "eps", "--database", str(stored), "--format", "csv", "--output", "out.csv"]
    with subprocess.Popen(
        [PIPELINE, *arguments], cwd=tmp_path, env=dict(environment(tmp_path)), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b"symbol,time\n" + b"IBM,2026-03-15\n" * 20_000)  # more than a pipe holds: it reads
        process.stdin.flush()
        assert list(tmp_path.glob("out.csv.*.partial"))
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode == 130
    assert list(tmp_path.glob("out.csv*")) == []
