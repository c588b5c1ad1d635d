"""Renames: what configurations say of symbols is in the file, with the companies that follow of it."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pipeline.model.renames import EARLIEST, spans, whole
from tests.support.observations import database_of, seen
from tests.support.renames import configure, rename

JUNE_9 = datetime(2022, 6, 9, tzinfo=UTC)


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def renamed(database: Path) -> dict[object, object]:
    return dict(rows(database, "SELECT symbol, renamed_to FROM renames"))  # type: ignore[arg-type]  # two columns


def test_spans_are_those_of_the_renames(database: Path) -> None:
    renames = [rename("FB", "META", JUNE_9), rename("A", "B")]

    configure(database, *renames)

    assert set(rows(database, "SELECT symbol, company, since, until FROM spans")) == set(spans(renames))


def test_a_rename_that_is_not_configured_any_more_is_forgotten(database: Path) -> None:
    configure(database, rename("FB", "META"), rename("A", "B"))
    configure(database, rename("A", "C"))
    assert renamed(database) == {"A": "C"}

    configure(database)
    assert renamed(database) == {}
    assert rows(database, "SELECT * FROM spans") == []


def test_what_has_not_changed_is_not_written(database: Path) -> None:
    configure(database, rename("FB", "META", JUNE_9), rename("A", "B"))
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("CREATE TRIGGER refuse BEFORE DELETE ON renames BEGIN SELECT RAISE(ABORT, 'written'); END")

    configure(database, rename("A", "B"), rename("FB", "META", JUNE_9))


def test_renames_of_another_configuration_stay_unless_its_file_is_gone(database: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.touch()
    other.touch()
    configure(database, rename("FB", "META"), configuration=one)
    configure(database, rename("A", "B"), configuration=other)
    assert renamed(database) == {"FB": "META", "A": "B"}

    one.unlink()
    configure(database, rename("A", "B"), configuration=other)
    assert renamed(database) == {"A": "B"}


def test_without_a_configuration_file_those_of_another_machine_stay(database: Path, tmp_path: Path) -> None:
    configure(database, rename("FB", "META"), configuration=tmp_path / "elsewhere.toml")

    configure(database)

    assert renamed(database) == {"FB": "META"}


def test_what_was_said_last_wins_over_another_configuration(database: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.touch()
    other.touch()
    configure(database, rename("FB", "META"), rename("B", "A"), configuration=one)

    configure(database, rename("FB", "MVRS"), rename("A", "B"), configuration=other)

    assert renamed(database) == {"FB": "MVRS", "A": "B"}


def test_the_view_has_the_company_of_every_symbol() -> None:
    database = database_of([seen(0, "FB"), seen(1, "META"), seen(0, "PEP")])
    configure(database, rename("FB", "META", JUNE_9))

    found = set(rows(database, "SELECT symbol, company, since, until FROM companies"))

    assert found == {*spans([rename("FB", "META", JUNE_9)]), whole("PEP")}
    assert {since for *_, since, _ in found} == {EARLIEST, "2022-06-09T00:00:00.000Z"}
