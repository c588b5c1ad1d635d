"""A command on a damaged database ends with one line; a bug still shows its traceback."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.cli import error_output
from pipeline.store import diagnosis
from pipeline.store.database import connect
from tests.support.commands import query
from tests.support.damaged import untyped
from tests.support.observations import database_of, seen, text


@pytest.fixture
def database(tmp_path: Path) -> Path:
    made = database_of([seen(0, PERatio="10"), seen(1, PERatio="11"), seen(2, "PEP", PERatio="1")])
    return Path(shutil.copy(made, tmp_path / "o.db"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE snapshots SET pe_ratio = 'a' || observed_at", ["changes", "--since", "2026-01-01"]),
        ("DELETE FROM snapshots WHERE symbol = 'IBM'", ["history", "IBM"]),
        ("DELETE FROM statements", ["vintages", "IBM"]),
        ("DELETE FROM snapshots", ["panel", "pe_ratio"]),
    ],
)
def test_what_cannot_be_there_ends_a_question_with_one_line(database: Path, damage: str, words: Sequence[str]) -> None:
    with untyped(database) as db:
        db.execute(damage)

    ended = query(database, *words)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"pipeline: {database}: damaged")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("statements", ["history", "IBM", "--field", "latest_quarter"]),
        ("profiles", ["as-of", "now", "--field", "name"]),
        ("layouts", ["as-of", "now", "--original"]),
        ("statements", ["panel", "latest_quarter", "--at", "instants.txt"]),
        ("statements", ["panel", "latest_quarter", "--every", "1w"]),
        ("profiles", ["panel", "name", "--output", "few.parquet", "--at", "instants.txt"]),
        ("profiles", ["panel", "name", "--output", "many.parquet"]),
        ("statements", ["changes", "--since", "2026-01-01"]),
        ("statements", ["export", "--output", "out.csv"]),
        ("layouts", ["export", "--original", "--output", "out.jsonl"]),
        ("profiles", ["export", "--output", "out.parquet"]),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_a_snapshot_without_one_of_its_parts_is_not_left_out_without_a_word(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, words: Sequence[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(diagnosis, "LARGEST", 0)  # as with a file that is too large to be checked
    Path("instants.txt").write_text("2026-03-20\n")
    whole = query(database, *words)
    with untyped(database) as db:
        db.execute(f"DELETE FROM {part} WHERE id = (SELECT max(id) FROM {part})")
    for made in _outputs(tmp_path):
        made.unlink()

    ended = query(database, *words)

    assert whole.code == 0
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"pipeline: {database}: damaged (a snapshot")
    assert _outputs(tmp_path) == []


@pytest.mark.parametrize("lost", ["IBM", "PEP"])
@pytest.mark.parametrize(
    "words",
    [
        ["as-of", "now"],
        ["as-of", "now", "{lost}"],
        ["as-of", "now", "--original"],
        ["as-of", "now", "--universe"],
        ["history", "{lost}"],
        ["changes", "--since", "2026-01-01"],
        ["vintages", "--all"],
        ["panel", "pe_ratio", "--every", "1w"],
        ["panel", "pe_ratio", "--output", "out.parquet"],
        ["export", "--output", "out.csv"],
        ["export", "--original", "--output", "out.jsonl"],
        ["export", "--output", "out.parquet"],
        ["export", "{lost}", "--output", "out.csv"],
    ],
    ids=" ".join,
)
def test_a_symbol_that_is_not_listed_is_not_left_out_without_a_word(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str], lost: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(diagnosis, "LARGEST", 0)  # as with a file that is too large to be checked
    with untyped(database) as db:
        db.execute("INSERT INTO universe (symbol, since, configuration) VALUES ('IBM', ?, 'a.toml')", (text(0),))
        db.execute("DELETE FROM symbols WHERE symbol = ?", (lost,))

    ended = query(database, *(word.format(lost=lost) for word in words))

    assert ended.code == 1
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"pipeline: {database}: damaged (symbols has no row for {lost}: see pipeline doctor")
    assert _outputs(tmp_path) == []
    doctor = query(database, "doctor", "--deep").out
    assert re.search(rf"problem +integrity +.*{lost}", doctor), doctor


def test_without_a_single_row_of_symbols_the_database_does_not_seem_to_be_empty(database: Path) -> None:
    with untyped(database) as db:
        db.execute("DELETE FROM symbols")

    assert "symbols has no row for IBM" in query(database, "history", "PEP").err


def test_an_export_of_what_was_received_leaves_out_no_symbol_that_is_not_covered_and_not_listed(database: Path) -> None:
    with untyped(database) as db:
        db.execute("INSERT INTO uncovered (symbol, at) VALUES ('NONE', ?)", (text(0),))

    ended = query(database, "export", "--original", "--output", "-")

    assert "symbols has no row for NONE" in ended.err


def _outputs(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in (".csv", ".jsonl", ".parquet", ".partial")]


def test_an_outcome_that_there_is_not_ends_the_list_of_runs_with_one_line(database: Path) -> None:
    with untyped(database) as db:
        db.execute(
            "INSERT INTO runs (id, trigger, started_at, status) VALUES (9, 'cli', '2026-03-14T18:30Z', 'running')"
        )
        db.execute("INSERT INTO outcomes VALUES (9, 'IBM', '1.5', 1, '2026-03-14T18:30Z', NULL)")

    ended = query(database, "runs", "--json")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"pipeline: {database}: damaged")
    assert ended.err.count("\n") == 1


def test_what_ends_a_command_after_it_has_read_a_damaged_file_is_one_line(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "_opened", {})  # those of other tests in this process
    with connect(database, "ro"):
        pass
    crash = (TypeError, TypeError("S3CR3TK3YOFOURS1"), None)

    error_output.print_traceback(*crash)
    with untyped(database) as db:
        db.execute("UPDATE symbols SET snapshots = x'00'")
    sound = capsys.readouterr().err
    error_output.print_traceback(*crash)
    damaged = capsys.readouterr().err
    monkeypatch.setattr(diagnosis, "LARGEST", 0)
    error_output.print_traceback(*crash)
    *_, unchecked = capsys.readouterr().err.splitlines()

    assert "TypeError" in sound
    assert "doctor" not in sound
    assert str(database) in unchecked
    assert "pipeline doctor" in unchecked
    assert damaged.startswith(f"pipeline: {database}: damaged (")
    assert damaged.count("\n") == 1
