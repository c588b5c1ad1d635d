"""The disk of the power cuts: it keeps what was synced, may keep the rest in part, and never what was not written."""

import errno
import os
from pathlib import Path
from random import Random

import pytest

from tests.torture.disk import Disk
from tests.torture.interposed import FOLDER, OPEN, RENAME, SYNC, UNLINK, WRITE, Operation

OLD, NEW = b"o" * 2048, b"n" * 2048
CUTS = 200
FILE, ROOT = Path("file"), Path()
CREATE = os.O_CREAT | os.O_RDWR


def operation(
    kind: str, path: Path = ROOT, other: Path = ROOT, *, file: int = 1, at: int = 0, data: bytes = b""
) -> Operation:
    return Operation(kind, 0, file, at, path, other, data)


CREATED = (operation(OPEN, FILE, at=CREATE), operation(WRITE, data=OLD))
SYNCED = (operation(SYNC),)
FOLDER_SYNCED = (operation(OPEN, ROOT, file=9), operation(SYNC, file=9))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(OLD)
    return tmp_path


def left(
    folder: Path, *operations: Operation, is_strict: bool = True, syncs: bool = True
) -> list[dict[Path, bytes | None]]:
    """Return what power cuts leave after these operations."""
    found = []
    for seed in range(CUTS):
        disk = Disk(folder, Random(seed), is_strict=is_strict, syncs=syncs)
        for one in operations:
            disk.apply(one)
        found.append(dict(disk.after_cut()))
    return found


def test_what_was_synced_is_there_after_every_power_cut(tmp_path: Path) -> None:
    assert {one.get(FILE) for one in left(tmp_path, *CREATED, *SYNCED, *FOLDER_SYNCED)} == {OLD}


def test_a_disk_that_ignores_syncs_may_have_lost_it(tmp_path: Path) -> None:
    assert None in {one.get(FILE) for one in left(tmp_path, *CREATED, *SYNCED, *FOLDER_SYNCED, syncs=False)}


def test_what_was_not_synced_is_there_in_part_by_sectors(folder: Path) -> None:
    found = {one[FILE] for one in left(folder, operation(OPEN, FILE), operation(WRITE, data=NEW))}

    assert {OLD, NEW} < found
    sectors = {content[start : start + 512] for content in found if content for start in range(0, 2048, 512)}
    assert sectors == {OLD[:512], NEW[:512]}


def test_what_a_sync_failed_to_write_is_not_written_by_the_next_one_that_succeeds(folder: Path) -> None:
    failed = Operation(SYNC, errno.EIO, 1, 0, ROOT, ROOT, b"")
    written = [operation(OPEN, FILE), operation(WRITE, data=NEW), failed, *SYNCED]

    assert {OLD, NEW} < {one[FILE] for one in left(folder, *written)}
    assert {one[FILE] for one in left(folder, *written, operation(WRITE, data=NEW), *SYNCED)} == {NEW}


def test_a_sector_never_has_a_later_write_without_an_earlier_one(folder: Path) -> None:
    written = [operation(OPEN, FILE), operation(WRITE, at=0, data=b"1"), operation(WRITE, at=1, data=b"2")]

    assert {(one[FILE] or b"")[:2] for one in left(folder, *written)} == {b"oo", b"1o", b"12"}


def test_a_name_is_kept_once_its_folder_is_synced_or_on_a_journal_any_file(tmp_path: Path) -> None:
    assert {FILE in one for one in left(tmp_path, *CREATED, *SYNCED)} == {True, False}
    assert {FILE in one for one in left(tmp_path, *CREATED, *SYNCED, is_strict=False)} == {True}


def test_a_file_is_lost_with_its_folder(tmp_path: Path) -> None:
    path = Path("folder/file")
    made = [operation(FOLDER, path.parent), operation(OPEN, path, at=CREATE), operation(WRITE, data=OLD), *SYNCED]
    made += [operation(OPEN, path.parent, file=9), operation(SYNC, file=9)]

    assert {path in one for one in left(tmp_path, *made)} == {True, False}
    assert {path in one for one in left(tmp_path, *made, *FOLDER_SYNCED)} == {True}


def test_a_rename_is_done_or_not(folder: Path) -> None:
    other = Path("other")

    assert {(FILE in one, other in one) for one in left(folder, operation(RENAME, FILE, other))} == {
        (True, False),
        (False, True),
    }


def test_on_a_journal_names_change_in_order(folder: Path) -> None:
    steps = [operation(FOLDER, Path("1")), operation(FOLDER, Path("2")), operation(UNLINK, FILE)]

    assert {(Path("1") in one, Path("2") in one) for one in left(folder, *steps, is_strict=False)} == {
        (False, False),
        (True, False),
        (True, True),
    }
    assert (False, True) in {(Path("1") in one, Path("2") in one) for one in left(folder, *steps)}
