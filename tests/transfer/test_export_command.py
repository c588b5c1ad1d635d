"""`pipeline export`: which options go together, and files that are whole or absent."""

import gzip
import importlib.util
import json
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import PIPELINE, call, environment, pipeline

needs_pyarrow = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")


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


def test_csv_for_excel_begins_with_a_byte_order_mark(kept: Path, tmp_path: Path) -> None:
    for output, *options in (("x.csv",), ("excel.csv", "--excel"), ("excel", "--excel")):
        assert call(tmp_path, "--database", str(kept), "export", "--output", output, *options).code == 0

    plain = (tmp_path / "x.csv").read_bytes()
    assert (tmp_path / "excel.csv").read_bytes() == (tmp_path / "excel").read_bytes() == b"\xef\xbb\xbf" + plain


@pytest.mark.process
async def test_standard_output_takes_the_data_alone(kept: Path, tmp_path: Path) -> None:
    done = await pipeline(
        tmp_path, "--database", str(kept), "export", "--output", "-", "--format", "csv", "PEP",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert [line[:4] for line in done.out.splitlines()] == ["symb", "PEP,"]


def test_an_unknown_symbol_ends_with_1_and_the_nearest_is_named(kept: Path, tmp_path: Path) -> None:
    done = call(tmp_path, "--database", str(kept), "export", "--output", "x.csv", "PEPP")
    assert (done.code, done.out) == (1, "")
    assert "PEPP" in done.err
    assert "PEP?" in done.err
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
        ["--output", "x.xlsx", "--excel"],
        ["--output", "x.jsonl", "--excel"],
        ["--output", "x.jsonl", "--original", "--excel"],
        ["--output", "x.xlsx.gz"],
        ["--output", "-", "--partition"],
        ["--output", "x", "--original", "--partition"],
        ["--output", "-", "--format", "csv", "--json"],
        [],
    ],
)
def test_contradicting_options_are_a_usage_error(kept: Path, tmp_path: Path, arguments: list[str]) -> None:
    done = call(tmp_path, "--database", str(kept), "export", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(kept.name)) == []


def test_without_a_database_no_file_is_made(tmp_path: Path) -> None:
    done = call(tmp_path, "--database", "absent.db", "export", "--output", "x.csv")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "absent.db" in done.err
    assert "pipeline collect" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
async def test_without_pyarrow_the_error_names_what_to_install(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "path" / "pyarrow").mkdir(parents=True)
    (tmp_path / "path" / "pyarrow" / "__init__.py").write_text("raise ImportError")
    done = await pipeline(
        tmp_path, "--database", str(kept), "export", "--output", "x.parquet", PYTHONPATH=str(tmp_path / "path")
    )
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "pyarrow" in done.err
    assert "pip install 'pyarrow>=18' 'numpy>=1.26'" in done.err
    assert not (tmp_path / "x.parquet").exists()


def forms() -> Iterator[Any]:
    """Yield a form that is text, which all but Parquet are, and Parquet."""
    yield ["--original"]
    yield pytest.param(["--format", "parquet"], marks=needs_pyarrow)


@pytest.mark.process
@pytest.mark.parametrize("form", list(forms()))
def test_a_closed_pipe_ends_it_quietly(long_database: Path, tmp_path: Path, form: list[str]) -> None:
    with subprocess.Popen(
        [PIPELINE, "--database", long_database, "export", "--output", "-", *form],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.process
@pytest.mark.parametrize("form", list(forms()))
def test_ctrl_c_ends_it_while_nobody_reads_the_pipe(long_database: Path, tmp_path: Path, form: list[str]) -> None:
    with subprocess.Popen(
        [PIPELINE, "--database", long_database, "export", "--output", "-", *form],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"\n"
        assert process.wait() == 130


@pytest.mark.process
@pytest.mark.parametrize("form", list(forms()))
def test_a_full_disk_is_one_line_and_leaves_the_old_file(long_database: Path, tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "out").write_bytes(b"old")
    done = subprocess.run(
        [PIPELINE, "--database", long_database, "export", "--output", "out", *form],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=False, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path}/out" in done.stderr
    assert "file too large" in done.stderr
    assert (tmp_path / "out").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []
