"""Diagnosis: an unexpected error is blamed on the file if that is damaged, and is a bug otherwise."""

import shutil
from pathlib import Path

import pytest

from pipeline.store.database import DatabaseError, connect, translate_errors
from pipeline.store.diagnosis import damage_in
from tests.support.damaged import untyped
from tests.support.observations import database_of, seen


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return Path(shutil.copy(database_of([seen(0, EPS="1"), seen(1, EPS="2")]), tmp_path / "o.db"))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE snapshots SET pe_ratio = 'high'", "pe_ratio"),
        ("UPDATE symbols SET snapshots = x'00'", "symbols.snapshots"),
        ("UPDATE symbols SET snapshots = 7", "IBM"),
        ("DELETE FROM snapshots", "IBM"),
        ("DELETE FROM symbols", "IBM"),
        ("DELETE FROM statements", "snapshots"),
        ("DROP TABLE symbols", "symbols"),
    ],
)
def test_what_cannot_be_there_or_is_missing_is_named(database: Path, damage: str, found: str) -> None:
    assert damage_in(database) is None
    with untyped(database) as db:
        db.execute(damage)

    named = damage_in(database)

    assert named is not None
    assert found in named


def test_what_sqlite_itself_cannot_say_is_named(database: Path) -> None:
    content = database.read_bytes()
    assert b"tablelayoutslayouts" in content
    database.write_bytes(content.replace(b"tablelayoutslayouts", b"table\xff\xfeyoutslayouts"))

    assert damage_in(database) == "a text that is not UTF-8"
    with pytest.raises(DatabaseError, match=r"o\.db: damaged; restore"), connect(database, "ro") as db:
        db.execute("SELECT * FROM symbols")


@pytest.mark.parametrize("content", [None, b"", b"x" * 5000])
def test_a_file_that_is_no_database_has_no_damage_in_it_or_is_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "o.db"
    if content is not None:
        path.write_bytes(content)

    assert damage_in(path) in (None, "file is not a database")


def test_an_unexpected_error_is_the_files_only_if_that_is_damaged(database: Path) -> None:
    with pytest.raises(TypeError), translate_errors(database):
        raise TypeError
    with untyped(database) as db:
        db.execute("UPDATE snapshots SET eps = x'00'")

    with pytest.raises(DatabaseError, match=r"o\.db: damaged .*eps.*; restore a backup"), translate_errors(database):
        raise TypeError


def test_what_sqlite_calls_damage_may_pass_as_a_disk_that_fails_to_read_does(database: Path) -> None:
    content = bytearray(database.read_bytes())
    with untyped(database) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'symbols'").fetchone()
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    database.write_bytes(content)

    with (
        pytest.raises(DatabaseError, match=r"damaged; if it stays so, restore a backup"),
        connect(database, "ro") as db,
    ):
        db.execute("SELECT * FROM symbols").fetchall()
