"""Importing: the whole command on real files, and what it leaves in the database."""

import asyncio
import gzip
import json
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import PIPELINE, Ended, call, environment, run
from tests.support.database import all_symbols, documents, snapshots
from tests.support.recordings import RECORDINGS, needs_recordings, recorded

DAILY = RECORDINGS / "daily_2023_2025.jsonl.gz"


def document(symbol: str = "IBM", **fields: Any) -> dict[str, Any]:
    return {"Symbol": symbol, "Name": "x", "EPS": "1", **fields}


def line(observed_at: str, symbol: str = "IBM", **fields: Any) -> dict[str, Any]:
    return {"symbol": symbol, "observed_at": observed_at, "body": json.dumps(document(symbol, **fields))}


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def imported(folder: Path, *arguments: str | Path, database: str = "a.db", stdin: bytes = b"") -> Ended:
    options = ("--database", database, "--json")
    if stdin:
        return run(folder, "import", *arguments, *options, stdin=stdin)
    return call(folder, "import", *map(str, arguments), *options)


def counts(done: Ended) -> dict[str, Any]:
    printed = json.loads(done.out)
    return {
        name: value for name, value in printed.items() if value and name not in ("run", "trigger", "status", "seconds")
    }


def whole(database: Path) -> list[Any]:
    queries = (
        "SELECT symbol, observed_at, confirmed_at, pe_ratio, name, latest_quarter, extra FROM overviews ORDER BY 1, 2",
        "SELECT * FROM looks ORDER BY 1, 2",
        "SELECT * FROM uncovered ORDER BY 1, 2",
        "SELECT * FROM symbols ORDER BY 1",
    )
    with closing(sqlite3.connect(database)) as db:
        return [db.execute(query).fetchall() for query in queries]


# Real recordings


@needs_recordings
def test_a_recorded_year_comes_back_to_the_letter(tmp_path: Path) -> None:
    done = imported(tmp_path, DAILY.resolve())

    assert done.code == 0
    assert counts(done) == {
        "lines": 2292, "symbols": 22, "stored": 2248, "unknown": 8, "rejected": 1, "deferred": 35,
        "refused": {"quota_ended": 35, "rejected": 1},
    }  # fmt: skip
    bodies = [json.loads(one["body"]) for one in recorded("daily_2023_2025.jsonl.gz") if '"Symbol"' in one["body"]]
    kept = [one for symbol in all_symbols(tmp_path / "a.db") for one in documents(tmp_path / "a.db", symbol)]
    assert Counter(map(json.dumps, kept)) == Counter(map(json.dumps, bodies))


@needs_recordings
def test_the_database_does_not_depend_on_the_order_of_imports_or_on_repetition(tmp_path: Path) -> None:
    with gzip.open(DAILY, "rt") as file:
        lines = file.readlines()
    random.Random(7).shuffle(lines)
    (tmp_path / "shuffled.jsonl").write_text("".join(lines))
    imported(tmp_path, DAILY.resolve(), database="a.db")
    imported(tmp_path, "shuffled.jsonl", database="b.db")
    again = imported(tmp_path, DAILY.resolve(), database="b.db")

    assert "stored" not in counts(again)
    assert counts(again)["unchanged"] == 2248
    assert whole(tmp_path / "a.db") == whole(tmp_path / "b.db")


# What a file can hold


def test_an_observation_that_found_the_same_document_is_stored_without_a_snapshot(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"), line("2024-01-03"), line("2024-01-02T00:00:00Z"))

    assert counts(imported(tmp_path, "x.jsonl")) == {"lines": 3, "symbols": 1, "stored": 1, "unchanged": 2}
    assert snapshots(tmp_path / "a.db", "IBM") == [("2024-01-01T00:00:00.000Z", "2024-01-03T23:59:59.999Z")]


@pytest.mark.process
def test_standard_input_is_imported(tmp_path: Path) -> None:
    given = gzip.compress(json.dumps(line("2024-01-01T00:00:00Z")).encode())

    assert counts(imported(tmp_path, "-", stdin=given))["stored"] == 1


def test_a_folder_of_documents_is_imported_as_of_the_day_given(tmp_path: Path) -> None:
    kept = tmp_path / "2024-03-14"
    kept.mkdir()
    (kept / "IBM.json").write_text(json.dumps(document()))
    (kept / "brk-b.json").write_text(json.dumps(document("BRK-B")))
    (kept / "ZZZ.json").write_text("{}")
    (kept / "README.txt").write_text("what this is")
    done = imported(tmp_path, "2024-03-14", "--observed-at", "2024-03-14")

    assert counts(done) == {"lines": 3, "symbols": 3, "stored": 2, "unknown": 1}
    assert done.code == 0
    assert "skipped, not SYMBOL.json: README.txt" in done.err
    assert snapshots(tmp_path / "a.db", "BRK-B") == [("2024-03-14T23:59:59.999Z", "2024-03-14T23:59:59.999Z")]


def test_a_refusal_never_touches_a_good_snapshot(tmp_path: Path) -> None:
    refused = {"symbol": "IBM", "observed_at": "2024-01-02T00:00:00Z", "body": '{"Note": "25 requests per day"}'}
    other = {"symbol": "IBM", "observed_at": "2024-01-02T00:00:00Z", "body": json.dumps(document("PEP"))}
    page = {"symbol": "IBM", "observed_at": "2024-01-02T00:00:00Z", "body": "<html>Application error</html>"}
    gone = {"symbol": "IBM", "observed_at": "2024-01-02T00:00:00Z", "body": "{}"}
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"), refused, other, page, gone)
    done = imported(tmp_path, "x.jsonl")

    assert (done.code, counts(done)["refused"]) == (0, {"quota_ended": 1, "rejected": 2})
    assert done.err == "pipeline: a new record begins in a.db\n"
    assert "x.jsonl, line 2: no overview: quota_ended: " in imported(tmp_path, "x.jsonl", "-v").err
    assert snapshots(tmp_path / "a.db", "IBM") == [("2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.000Z")]


# What is wrong with one


def test_a_bad_line_is_reported_and_the_rest_imported(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"), "{broken", line("2024-01-02T00:00:00Z", EPS="2"))
    done = imported(tmp_path, "x.jsonl")

    assert (done.code, counts(done)) == (4, {"lines": 3, "symbols": 1, "stored": 2, "bad": 1})
    assert "x.jsonl, line 2: " in done.err


def test_strict_stops_at_the_first_bad_line(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"), "{broken", line("2024-01-02T00:00:00Z", EPS="2"))
    done = imported(tmp_path, "x.jsonl", "--strict")

    assert (done.code, counts(done)["stored"]) == (1, 1)


def test_a_failed_import_is_listed_with_its_counts(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", "{broken", line("2024-01-01T00:00:00Z"))
    imported(tmp_path, "x.jsonl", "--strict")

    assert "nothing stored" in call(tmp_path, "runs", "--database", "a.db").out
    assert "nothing was stored" in call(tmp_path, "status", "--database", "a.db").out


def test_an_import_counts_the_files_or_the_lines_it_read(tmp_path: Path) -> None:
    (tmp_path / "IBM.json").write_text(json.dumps(document()))
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"))

    for words, read in [
        (["IBM.json", "--observed-at", "2024-03-14"], "1 file of 1 symbol"),
        (["x.jsonl"], "1 line of"),
    ]:
        assert read in call(tmp_path, "import", *words, "--database", "a.db").out


def test_of_two_documents_for_one_instant_the_first_stays_and_the_other_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"), line("2024-01-01T00:00:00Z", EPS="2"))
    done = imported(tmp_path, "x.jsonl")

    assert (done.code, counts(done)["conflicts"]) == (0, 1)
    assert "x.jsonl, line 2: conflicts with the document of IBM stored for 2024-01-01T00:00:00.000Z" in done.err
    assert documents(tmp_path / "a.db", "IBM") == [document()]


def test_the_whole_lines_of_a_cut_off_file_are_imported(tmp_path: Path) -> None:
    lines = "".join(json.dumps(line(f"2024-01-{day:02}", EPS=str(day))) + "\n" for day in range(1, 31))
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-40])
    done = imported(tmp_path, "x.jsonl.gz")

    assert done.code == 4
    assert 0 < counts(done)["stored"] < 30
    assert "x.jsonl.gz" in done.err


@pytest.mark.parametrize("name", ["missing.jsonl", "empty-folder"])
def test_an_unreadable_source_is_reported_before_anything_is_imported(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty-folder").mkdir()
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"))
    done = imported(tmp_path, "x.jsonl", name)

    assert done.code == 1
    assert done.err.count("\n") == 1
    assert name in done.err
    assert not (tmp_path / "a.db").exists()


def test_many_bad_lines_do_not_flood_the_terminal(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"), *["{broken"] * 300)
    done = imported(tmp_path, "x.jsonl")

    assert counts(done)["bad"] == 300
    assert "and 200 more" in done.err
    assert "-v" in done.err
    assert done.err.count("\n") == 102  # the first is that a record begins


@pytest.mark.process
def test_an_exported_database_is_imported_as_it_was(tmp_path: Path) -> None:
    nested: Any = 1
    for _ in range(40):
        nested = [nested]
    odd = {"symbol": "theirs", "New": {"b": [1, 1.0, True, None], "a": "é"}, "deep": nested, "Name": "\x7f" * 200_000}
    write(
        tmp_path / "x.jsonl",
        line("2024-01-01", **odd),
        line("2024-01-02", **odd),
        {"symbol": "IBM", "observed_at": "2024-01-03", "body": "{}"},
        line("2024-01-04", EPS="1.50"),
    )
    imported(tmp_path, "x.jsonl")
    out = run(tmp_path, "export", "--original", "--output", "-", "--database", "a.db").out
    (tmp_path / "y.jsonl").write_text(out)

    assert imported(tmp_path, "y.jsonl", database="b.db").code == 0
    assert whole(tmp_path / "a.db") == whole(tmp_path / "b.db")
    assert documents(tmp_path / "a.db", "IBM") == documents(tmp_path / "b.db", "IBM")


@pytest.mark.process
async def test_ctrl_c_ends_it_while_it_waits_for_standard_input(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        PIPELINE,
        *("import", "-", "--database", "a.db", "--json"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(line("2024-01-01T00:00:00Z")).encode())
    await process.stdin.drain()
    async with asyncio.timeout(30):
        while not began(tmp_path / "a.db"):
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out = await process.stdout.read() if process.stdout else b""
        assert await process.wait() == 130
    assert json.loads(out)["status"] == "interrupted"


def began(database: Path) -> bool:
    """Whether a run has begun, so that it may be interrupted."""
    if not database.exists():
        return False
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        try:
            return bool(db.execute("SELECT 1 FROM runs").fetchall())
        except sqlite3.OperationalError:
            return False
