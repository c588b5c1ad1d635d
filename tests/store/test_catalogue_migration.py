"""The migration that brings the schema up to the catalogue: a command writes it, or says which contract is broken."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.fields import CATALOGUE, COLUMNS, Field, Kind, Part
from pipeline.store import catalogue_migration
from pipeline.store.catalogue_migration import Contract, Difference, difference, statement_only, write_migration
from pipeline.store.catalogue_views import TABLES, views
from pipeline.store.migrate import migrate
from pipeline.store.migration_files import FOLDER
from tests.support.clocks import START
from tests.support.observations import database_of, seen

FURTHER = (
    Field("NewWord", "new_word", Kind.TEXT, Part.PROFILE, "", "A word that is the company's"),
    Field("NewDay", "new_day", Kind.DATE, Part.REPORTED, "date", 'A "day"'),
    Field("NewAmount", "new_amount", Kind.INTEGER, Part.REPORTED, "USD", "An amount", "-"),
    Field("1NewPrice", "new_price", Kind.REAL, Part.DAILY, "USD", "A price"),
    Field("NewGrade", "new_grade", Kind.TEXT, Part.DAILY, "", "A grade that changes daily"),
    Field("NewNote", "new_note", Kind.TEXT, Part.REPORTED, "", "A note with each statement"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the shipped migrations."""
    return Path(shutil.copytree(FOLDER, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__")))


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as db:
        yield db


def test_the_schema_of_the_migrations_is_the_catalogues(database: Path) -> None:
    """Where it fails: python -m pipeline.store.catalogue_migration."""
    with opened(database) as db:
        assert difference(db, CATALOGUE) == Difference((), (), ())
        rows = set(db.execute("SELECT field, name, kind, part, unit, fiscal, missing, description FROM fields"))
        assert rows == {
            (f.column, f.name, f.kind, f.part, f.unit, int(f.is_fiscal), f.missing, f.description) for f in CATALOGUE
        }


def test_nothing_is_written_where_nothing_is_lacking(folder: Path) -> None:
    before = sorted(folder.iterdir())

    assert write_migration(folder, CATALOGUE) is None
    assert sorted(folder.iterdir()) == before


def test_the_command_says_that_there_is_nothing_to_do_or_what_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_migration, "FOLDER", folder)
    before = sorted(folder.iterdir())
    catalogue_migration.main()
    assert "nothing to do" in capsys.readouterr().out

    monkeypatch.setattr(catalogue_migration, "CATALOGUE", CATALOGUE[:-1])
    with pytest.raises(SystemExit, match=r"lacks ex_dividend_date.*put it back"):
        catalogue_migration.main()
    assert sorted(folder.iterdir()) == before


def test_further_fields_get_columns_views_and_rows(folder: Path, tmp_path: Path) -> None:
    catalogue = (*CATALOGUE[:20], *FURTHER, *CATALOGUE[20:])
    path = tmp_path / "grown.db"
    migrate(path, now=START)

    written = write_migration(folder, catalogue)
    migrate(path, now=START, folder=folder)

    assert written is not None
    assert written.suffix == ".py"
    with opened(path) as db:
        assert difference(db, catalogue) == Difference((), (), ())
        for field in FURTHER:
            kinds = {name: kind for _, name, kind, *_ in db.execute(f"PRAGMA table_info({TABLES[field.part]})")}
            assert kinds[field.column] == ("TEXT" if field.kind is Kind.DATE else field.kind.upper())
        made = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
        assert {name: made[name] for name in views(catalogue)} == {
            name: statement_only(sql) for name, sql in views(catalogue).items()
        }
    assert write_migration(folder, catalogue) is None


def test_the_values_of_past_documents_are_in_the_views(folder: Path) -> None:
    spelled = {
        "NewWord": "a",
        "NewDay": "2026-03-14",
        "NewAmount": "7",
        "1NewPrice": "1.5",
        "NewGrade": "B",
        "NewNote": "n",
    }
    changed = spelled | {"NewAmount": "8", "1NewPrice": "3", "NewGrade": "C", "NewNote": "m", "NewWord": "b"}
    path = database_of([seen(0, **spelled, EPS="1"), seen(1, **changed, EPS="1")])
    write_migration(folder, (*CATALOGUE, *FURTHER))

    migrate(path, now=START, folder=folder)

    with opened(path) as db:
        columns = ", ".join(field.column for field in FURTHER)
        assert db.execute(f"SELECT {columns}, extra FROM overviews ORDER BY observed_at").fetchall() == [
            ("a", "2026-03-14", 7, 1.5, "B", "n", None), ("b", "2026-03-14", 8, 3.0, "C", "m", None),
        ]  # fmt: skip
        assert sorted(db.execute("SELECT field, before, after, change FROM overview_changes")) == [
            ("new_amount", 7, 8, 1 / 7), ("new_grade", "B", "C", None), ("new_note", "n", "m", None),
            ("new_price", 1.5, 3.0, 1.0), ("new_word", "a", "b", None),
        ]  # fmt: skip


@pytest.mark.process
def test_what_is_written_is_in_the_shape_that_lint_wants(folder: Path) -> None:
    written = write_migration(folder, (*CATALOGUE, *FURTHER))
    assert written is not None
    for words in (("format", "--check"), ("check",)):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--stdin-filename", f"migrations/{written.name}", "-"],
            cwd=FOLDER.parent, input=written.read_text(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_another_description_unit_or_view_is_a_migration_in_sql(folder: Path, tmp_path: Path) -> None:
    changed = replace(COLUMNS["eps"], unit="USD", description="What it's worth")
    catalogue = tuple(changed if field.column == "eps" else field for field in CATALOGUE)

    written = write_migration(folder, catalogue)
    migrate(tmp_path / "new.db", now=START, folder=folder)

    assert written is not None
    assert written.suffix == ".sql"
    with opened(tmp_path / "new.db") as db:
        assert db.execute("SELECT unit, description FROM fields WHERE field = 'eps'").fetchall() == [
            ("USD", "What it's worth")
        ]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": Kind.TEXT}, "text"),
        ({"part": Part.REPORTED}, "reported"),
        ({"column": "earnings"}, "lacks eps"),
        ({"name": "Earnings"}, "Earnings"),
        ({"missing": "-"}, "'-'"),
    ],
    ids=["retyped", "moved", "column renamed", "renamed in the API", "other word for missing"],
)
def test_a_change_of_what_programs_rely_on_is_refused(folder: Path, change: dict[str, Any], named: str) -> None:
    catalogue = tuple(replace(field, **change) if field.column == "eps" else field for field in CATALOGUE)
    before = sorted(folder.iterdir())

    with pytest.raises(Contract, match=named) as refused:
        write_migration(folder, catalogue)

    assert "CONTRIBUTING" in str(refused.value.remedy)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "change",
    [
        {"column": "Eps; DROP"}, {"column": "observed_at"}, {"column": "digest"}, {"name": 'Say "x"'},
        {"description": "a\\nb"}, {"unit": '"""'},
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_written_into_sql_is_refused(folder: Path, change: dict[str, Any]) -> None:
    with pytest.raises(Contract):
        write_migration(folder, (*CATALOGUE, replace(FURTHER[0], **change)))
