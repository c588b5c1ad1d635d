"""Moving a database aside: all of its files, under one free name, and never over another."""

from pathlib import Path

from pipeline.store.move_aside import free_name, move_aside
from tests.support.clocks import START

NAME = "overviews.db.replaced-2026-03-14T183000Z"


def test_all_files_of_a_database_are_moved_under_one_name(tmp_path: Path) -> None:
    database = tmp_path / "overviews.db"
    for suffix in ("", "-wal", "-shm", "-journal", ".lock", ".record"):
        database.with_name(f"overviews.db{suffix}").write_text(suffix)

    assert move_aside(database, free_name(database, START)) == tmp_path / NAME

    moved = {path.name: path.read_text() for path in tmp_path.iterdir() if path.name.startswith(NAME)}
    assert moved == {f"{NAME}{suffix}": suffix for suffix in ("", "-wal", "-shm", "-journal")}
    assert (tmp_path / "overviews.db.record").exists()


def test_a_name_of_which_any_file_exists_is_not_free(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}-wal").touch()

    assert free_name(tmp_path / "overviews.db", START) == f"{NAME}-2"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "overviews.db").write_text("new")
    (tmp_path / NAME).write_text("old")

    move_aside(tmp_path / "overviews.db", NAME)

    assert (tmp_path / NAME).read_text() == "old"
    assert (tmp_path / "overviews.db").read_text() == "new"


def test_where_there_is_nothing_nothing_is_moved(tmp_path: Path) -> None:
    assert move_aside(tmp_path / "overviews.db", NAME) is None
