"""Importing: the whole command on real files, and what it leaves in the database."""

import asyncio
import gzip
import json
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from io import BytesIO, TextIOWrapper
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.commands import PIPELINE, Ended, call, environment, run
from tests.support.database import all_symbols, documents, snapshots
from tests.support.recordings import RECORDINGS, needs_recordings, recorded

NEW_RECORD = 1
"""Lines on stderr before the first import into a new file."""
CASES = RECORDINGS.parent / "cases"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="the inputs that failed are not beside the project")
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", TextIOWrapper(BytesIO(stdin)))
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
        lines = file.readlines()[::3]
    (tmp_path / "in_order.jsonl").write_text("".join(lines))
    random.Random(7).shuffle(lines)
    (tmp_path / "shuffled.jsonl").write_text("".join(lines))
    stored = counts(imported(tmp_path, "in_order.jsonl", database="a.db"))["stored"]
    imported(tmp_path, "shuffled.jsonl", database="b.db")
    again = imported(tmp_path, "in_order.jsonl", database="b.db")

    assert "stored" not in counts(again)
    assert counts(again)["unchanged"] == stored > 700
    assert whole(tmp_path / "a.db") == whole(tmp_path / "b.db")


# What a file can hold


def test_an_observation_that_found_the_same_document_is_stored_without_a_snapshot(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"), line("2024-01-03"), line("2024-01-02T00:00:00Z"))

    assert counts(imported(tmp_path, "x.jsonl")) == {"lines": 3, "symbols": 1, "stored": 1, "unchanged": 2}
    assert snapshots(tmp_path / "a.db", "IBM") == [("2024-01-01T00:00:00.000Z", "2024-01-03T23:59:59.999Z")]


@pytest.mark.process
def test_standard_input_is_imported(tmp_path: Path) -> None:
    given = gzip.compress(json.dumps(line("2024-01-01T00:00:00Z")).encode())

    done = run(tmp_path, "import", "-", "--database", "a.db", "--json", stdin=given)
    assert counts(done)["stored"] == 1


def test_a_folder_of_documents_is_imported_as_of_the_day_given(tmp_path: Path) -> None:
    kept = tmp_path / "2024-03-14"
    kept.mkdir()
    (kept / "IBM.json").write_text(json.dumps(document()))
    (kept / "brk-b.json").write_text(json.dumps(document("BRK-B")))
    (kept / "ZZZ.json").write_text("{}")
    (kept / "README.txt").write_text("what this is")
    done = imported(tmp_path, "2024-03-14", "--observed-at", "2024-03-14")

    assert counts(done) == {"lines": 3, "symbols": 3, "stored": 2, "unknown": 1, "skipped": 1}
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
    assert "x.jsonl, line 2: deferred: quota_ended: " in imported(tmp_path, "x.jsonl", "-v").err
    assert snapshots(tmp_path / "a.db", "IBM") == [("2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.000Z")]


def test_an_import_is_counted_in_the_words_of_any_run(tmp_path: Path) -> None:
    refused = [
        {"symbol": "IBM", "observed_at": f"2024-01-0{day}", "body": json.dumps({"Information": "25 requests per day"})}
        for day in (1, 2)
    ]
    down = {"symbol": "IBM", "observed_at": "2024-01-03", "body": "", "status": 503}
    other = {"symbol": "IBM", "observed_at": "2024-01-03", "document": document("PEP")}
    gone = {"symbol": "OTC", "observed_at": "2024-01-03", "body": "{}"}
    write(tmp_path / "x.jsonl", *refused, down, other, gone, line("2024-01-04"), line("2024-01-04", EPS="2"), "{")
    words = {"stored": 1, "unknown": 1, "failed": 1, "rejected": 2, "deferred": 2}

    printed = call(tmp_path, "import", "x.jsonl", "--database", "a.db").out
    rows = [(row.split()[0], int(row.split()[1])) for row in printed.splitlines()[1:8]]
    assert Counter({"bad": 1} | words) == sum((Counter({name: number}) for name, number in rows), Counter())
    (listed,) = json.loads(call(tmp_path, "runs", "--json", "--database", "a.db").out)
    assert {name: listed[name] for name in words} == words
    status = call(tmp_path, "status", "--database", "a.db").out
    assert all(f"{number} {name}" in status for name, number in words.items())


# What looks ahead


def mixed(ahead: int, good: int) -> list[dict[str, Any]]:
    """Return lines of January, of which the first so many have the quarter that ends in March."""
    quarters = ["2024-03-31"] * ahead + ["2023-12-31"] * good
    return [
        line(f"2024-01-{day:02}T00:00:00Z", EPS=str(day), LatestQuarter=quarter)
        for day, quarter in enumerate(quarters, 1)
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_of_which_more_than_a_tenth_looks_ahead_is_imported_only_if_one_insists(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / "x.jsonl", *mixed(ahead=2, good=17))
    path.write_bytes(pack(path.read_bytes()))
    done = imported(tmp_path, "x.jsonl")

    assert (done.code, counts(done)["quarter_not_over"]) == (1, 2)
    assert done.err.count("\n") == 1 + NEW_RECORD
    for named in ("2 of 19 documents", "--allow-back-dated", "x.jsonl, line 1: "):
        assert named in done.err
    assert whole(tmp_path / "a.db") == [[], [], [], []]
    assert call(tmp_path, "import", "x.jsonl", "--database", "a.db", "-q").err.count("\n") == 1

    insisting = imported(tmp_path, "x.jsonl", "--allow-back-dated")
    assert (insisting.code, insisting.err) == (0, "")
    assert counts(insisting) == {"lines": 19, "symbols": 1, "stored": 19, "quarter_not_over": 2}
    found = call(tmp_path, "changes", "--suspicious", "--since", "2024-01-01", "--json", "--database", "a.db").out
    assert "quarter_not_over" in [one["suspicion"] for one in json.loads(found)]


def test_a_tenth_is_counted_and_imported(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", *mixed(ahead=2, good=18))

    done = imported(tmp_path, "x.jsonl")
    assert (done.code, counts(done)["quarter_not_over"], counts(done)["stored"]) == (0, 2, 20)
    assert "2 documents were received before" in call(tmp_path, "import", "x.jsonl", "--database", "a.db").out


def test_all_archives_of_an_import_are_counted_before_any_is_stored(tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl", *mixed(ahead=0, good=5))
    write(tmp_path / "bad.jsonl", *mixed(ahead=5, good=0))
    folder = tmp_path / "folder"
    folder.mkdir()
    for symbol in ("A", "B", "C"):
        (folder / f"{symbol}.json").write_text(json.dumps(document(symbol, LatestQuarter="2024-03-31")))

    assert "5 of 10 documents" in imported(tmp_path, "good.jsonl", "bad.jsonl").err
    assert "3 of 8 documents" in imported(tmp_path, "good.jsonl", "folder", "--observed-at", "2024-01-01").err
    assert whole(tmp_path / "a.db")[0] == []


@pytest.mark.parametrize("ahead", [0, 20])
def test_what_can_be_read_only_once_is_counted_before_it_is_stored_too(tmp_path: Path, ahead: int) -> None:
    content = write(tmp_path / "x.jsonl", *mixed(ahead=ahead, good=20 - ahead)).read_bytes()
    of_stdin = imported(tmp_path, "-", stdin=gzip.compress(content))
    os.mkfifo(tmp_path / "pipe")
    Thread(target=lambda: (tmp_path / "pipe").write_bytes(content), daemon=True).start()
    of_pipe = imported(tmp_path, "pipe", database="b.db")

    assert of_stdin.code == of_pipe.code == (1 if ahead else 0)
    assert counts(of_stdin)["quarter_not_over" if ahead else "stored"] == 20
    assert whole(tmp_path / "b.db") == whole(tmp_path / "a.db")


@needs_cases
def test_todays_documents_filed_under_past_dates_are_refused(tmp_path: Path) -> None:
    done = imported(tmp_path, (CASES / "03_latest_quarter_after_observed.jsonl").resolve())
    assert (done.code, counts(done)["quarter_not_over"]) == (1, 1)


# Paths that say symbol and time


def test_a_tree_of_documents_is_imported_by_what_their_paths_say(tmp_path: Path) -> None:
    for name, symbol, eps in (
        ("IBM/2024-03-14.json", "IBM", "1"),
        ("IBM/20240315.json", "IBM", "2"),
        ("BRK-B/2024-03-14.json", "BRK.B", "1"),
        ("BRK-B/2024-03-15.json", "PEP", "1"),
        ("IBM/notes.txt", "IBM", "1"),
        ("IBM/2024-02-30.json", "IBM", "1"),
        ("deep/er/IBM/2024-03-16.json", "IBM", "2"),
        (".git/2024-03-16.json", "IBM", "1"),
    ):
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document(symbol, EPS=eps)))
    done = imported(tmp_path, "archive", "--name-pattern", "{symbol}/{date}.json")

    assert counts(done) == {
        "lines": 6, "symbols": 2, "stored": 3, "unchanged": 1, "rejected": 1, "bad": 1, "skipped": 1,
        "refused": {"rejected": 1},
    }  # fmt: skip
    assert "do not match {symbol}/{date}.json: IBM/notes.txt" in done.err
    assert "2024-02-30" in done.err
    assert snapshots(tmp_path / "a.db", "IBM") == [
        ("2024-03-14T23:59:59.999Z", "2024-03-14T23:59:59.999Z"),
        ("2024-03-15T23:59:59.999Z", "2024-03-16T23:59:59.999Z"),
    ]
    assert snapshots(tmp_path / "a.db", "BRK-B") == [("2024-03-14T23:59:59.999Z", "2024-03-14T23:59:59.999Z")]


def test_lines_take_from_their_path_what_they_do_not_say_and_never_another_symbol(tmp_path: Path) -> None:
    body = json.dumps(document())
    write(
        tmp_path / "IBM_2024-03-14.jsonl",
        {"body": body},
        {"observed_at": "2024-03-10T00:00:00Z", "body": body},
        {"symbol": "ibm", "observed_at": "2024-03-11T00:00:00Z", "body": body},
        {"symbol": "PEP", "observed_at": "2024-03-12T00:00:00Z", "body": json.dumps(document("PEP"))},
    )
    done = imported(tmp_path, "IBM_2024-03-14.jsonl", "--name-pattern", "{symbol}_{date}.jsonl")

    assert counts(done) == {"lines": 4, "symbols": 1, "stored": 1, "unchanged": 2, "bad": 1}
    assert "line 4: symbol is PEP, and 'IBM' in the name of the file" in done.err
    assert snapshots(tmp_path / "a.db", "IBM") == [("2024-03-10T00:00:00.000Z", "2024-03-14T23:59:59.999Z")]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["archive", "--name-pattern", "{symbol}/{day}.json"], 2, "unknown {day}"),
        (["archive", "--name-pattern", "{symbol}/{date}.json", "--observed-at", "2024-01-01"], 2, "--observed-at"),
        (["archive", "--name-pattern", "{symbol}_{date}.json"], 1, "no file matches"),
        (["-", "--name-pattern", "{symbol}_{date}.json"], 1, "has no path"),
    ],
)
def test_a_pattern_that_cannot_be_meant_ends_it_before_anything_is_imported(
    tmp_path: Path, words: list[str], code: int, why: str
) -> None:
    (tmp_path / "archive" / "IBM").mkdir(parents=True)
    (tmp_path / "archive" / "IBM" / "2024-03-14.json").write_text(json.dumps(document()))
    done = imported(tmp_path, *words)

    assert done.code == code
    assert why in done.err
    assert not (tmp_path / "a.db").exists()


@pytest.mark.parametrize(("pattern", "why"), [("{date}.json", "{symbol}"), ("{symbol}_1.json", "--observed-at")])
def test_a_response_whose_symbol_or_time_nothing_says_is_bad(tmp_path: Path, pattern: str, why: str) -> None:
    (tmp_path / "archive").mkdir()
    for name in ("2024-03-14.json", "IBM_1.json"):
        (tmp_path / "archive" / name).write_text(json.dumps(document()))
    done = imported(tmp_path, "archive", "--name-pattern", pattern)

    assert (done.code, counts(done)) == (4, {"lines": 1, "bad": 1, "skipped": 1})
    assert why in done.err


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

    assert "nothing was stored" in call(tmp_path, "runs", "--database", "a.db").out
    assert "nothing was stored" in call(tmp_path, "status", "--database", "a.db").out


def test_an_import_that_was_killed_is_not_said_to_have_stored_nothing(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", line("2024-01-01T00:00:00Z"))
    imported(tmp_path, "x.jsonl")
    with closing(sqlite3.connect(tmp_path / "a.db")) as db, db:
        db.execute("UPDATE runs SET status = 'running', stored = 0, seconds = NULL, finished_at = NULL")
    imported(tmp_path, "x.jsonl")

    assert "not counted" in call(tmp_path, "runs", "--database", "a.db").out


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
    assert "x.jsonl, line 2: in conflict with the document of IBM stored for 2024-01-01T00:00:00.000Z" in done.err
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
    assert "x.jsonl, lines 2, 3, 4 and 297 more: broken JSON" in done.err
    assert done.err.count("\n") == 1 + NEW_RECORD


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
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(json.dumps(line("2024-01-01T00:00:00Z")).encode())
    await process.stdin.drain()
    async with asyncio.timeout(30):
        while not began(tmp_path / "a.db"):
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = await asyncio.gather(process.stdout.read(), process.stderr.read())
        assert await process.wait() == 130
        process.stdin.close()
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
