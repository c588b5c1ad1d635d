"""Files: whole or absent, whatever happens while they are written."""

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Trouble
from pipeline.files import (
    creating,
    filling,
    is_present,
    make_folder,
    new_file,
    path_of,
    path_text,
    replace_content,
    replacing,
    sync_file,
    sync_folder,
)

Write = Callable[..., AbstractContextManager[object]]


def test_a_file_takes_the_place_of_another_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(b"old")
    with replacing(tmp_path / "out.csv", check=lambda _: None) as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "out.csv").read_bytes() == b"old"

    assert (tmp_path / "out.csv").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600


@pytest.mark.parametrize("failure", [KeyboardInterrupt, Trouble, ValueError])
def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path: Path, failure: type[BaseException]) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "out.csv").write_bytes(b"old")

    def fail() -> None:
        with replacing(folder / "out.csv", check=lambda _: None) as file:
            file.write(b"new")
            raise failure("disk")

    with pytest.raises(failure):
        fail()

    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("out.csv", b"old")]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(b"old")
    (tmp_path / "latest.csv").symlink_to(tmp_path / "out.csv")
    with replacing(tmp_path / "latest.csv", check=lambda _: None) as file:
        file.write(b"new")

    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "out.csv").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["reserved.db", "./reserved.db", "link"])
def test_a_reserved_file_is_never_replaced_by_whatever_name(tmp_path: Path, name: str) -> None:
    reserved = tmp_path.resolve() / "reserved.db"
    reserved.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(reserved)

    def refuse(target: Path) -> None:
        if target == reserved:
            raise Trouble(f"{target} must not be overwritten", remedy="name another file")

    with pytest.raises(Trouble, match=r"reserved\.db.*another file"), replacing(tmp_path / name, check=refuse):
        pass

    assert reserved.read_bytes() == b"precious"


def test_a_file_that_comes_to_be_reserved_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path.resolve() / "out.db"

    def refuse(target: Path) -> None:
        if target.exists():
            raise Trouble(f"{target} must not be overwritten")

    def begin_meanwhile() -> None:
        with replacing(target, check=refuse) as file:
            file.write(b"new")
            target.write_bytes(b"precious")

    with pytest.raises(Trouble, match="overwritten"):
        begin_meanwhile()

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.db", b"precious")]


def test_a_place_that_comes_to_be_reserved_meanwhile_gets_no_folder(tmp_path: Path) -> None:
    def refuse(target: Path) -> None:
        if target.with_name("out.record").exists():
            raise Trouble(f"{target} must not be overwritten")

    def begin_meanwhile() -> None:
        with filling(tmp_path / "out", check=refuse):
            (tmp_path / "out.record").touch()

    with pytest.raises(Trouble, match="overwritten"):
        begin_meanwhile()

    assert [path.name for path in tmp_path.iterdir()] == ["out.record"]


@pytest.mark.parametrize("write", [replacing, filling])
@pytest.mark.parametrize("name", ["link", "link/out", "link/deep/out"])
def test_no_folder_is_created_where_a_link_leads_nowhere(tmp_path: Path, name: str, write: Write) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "not mounted" / "exports")

    with (
        pytest.raises(Trouble, match=r"link leads nowhere.*not mounted/exports"),
        write(tmp_path / name, check=lambda _: None),
    ):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is a folder"),
        ("fifo", "not a regular file"),
        ("out.db/out.csv", "cannot be written"),
        ("x" * 300, "cannot be written: file name too long"),
        ("loop", "link to itself|cannot be written"),
    ],
)
def test_what_cannot_be_a_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "out.db").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Trouble, match=reason), replacing(tmp_path / name, check=lambda _: None):
        pass


def test_a_folder_is_there_when_it_is_whole(tmp_path: Path) -> None:
    with filling(tmp_path / "deep" / "out", check=lambda _: None) as folder:
        (folder / "part").write_bytes(b"x")
        assert not (tmp_path / "deep" / "out").exists()

    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "deep" / "out").iterdir()] == ["part"]


def test_an_empty_folder_may_be_filled_and_a_failure_leaves_it_empty(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    def fail() -> None:
        with filling(tmp_path / "out", check=lambda _: None) as folder:
            (folder / "part").write_bytes(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]

    with filling(tmp_path / "out", check=lambda _: None) as folder:
        (folder / "part").write_bytes(b"x")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "part"]


@pytest.mark.parametrize(("name", "reason"), [("full", "is not empty"), ("file", "is a file"), ("x" * 300, "too long")])
def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    (tmp_path / "file").touch()
    with pytest.raises(Trouble, match=reason), filling(tmp_path / name, check=lambda _: None):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "precious"]


def test_replaced_content_is_private_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beat.json").write_bytes(b"old")
    replace_content(tmp_path / "beat.json", b"new")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("beat.json", b"new")]
    assert stat.S_IMODE((tmp_path / "beat.json").stat().st_mode) == 0o600


def test_a_new_file_and_its_folders_are_private(tmp_path: Path) -> None:
    with new_file(tmp_path / "deep" / "new") as file:
        file.write(b"x")

    assert (tmp_path / "deep" / "new").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "deep" / "new").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


def test_a_new_file_never_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"precious")

    with pytest.raises(FileExistsError), new_file(tmp_path / "old"):
        pass

    assert (tmp_path / "old").read_bytes() == b"precious"


def test_a_created_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with creating(tmp_path / "deep" / "new", mode=0o644) as file:
        file.write(b"x")
        file.flush()
        assert not (tmp_path / "deep" / "new").exists()

    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]
    assert (tmp_path / "deep" / "new").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "deep" / "new").stat().st_mode) == 0o644


@pytest.mark.parametrize("is_link", [False, True])
def test_a_created_file_never_replaces_another_nor_a_link(tmp_path: Path, is_link: bool) -> None:
    (tmp_path / "old").symlink_to("nowhere") if is_link else (tmp_path / "old").write_bytes(b"precious")

    with pytest.raises(FileExistsError), creating(tmp_path / "old", mode=0o600):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").is_symlink() or (tmp_path / "old").read_bytes() == b"precious"


def test_a_created_file_does_not_replace_one_that_appears_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), creating(tmp_path / "new", mode=0o600):
        (tmp_path / "new").write_bytes(b"precious")

    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new").read_bytes() == b"precious"


def test_a_new_file_that_fails_midway_is_removed(tmp_path: Path) -> None:
    def fail() -> None:
        with new_file(tmp_path / "new") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_an_error_and_not_absent_on_every_python(tmp_path: Path) -> None:
    assert is_present(tmp_path)
    assert not is_present(tmp_path / "absent")
    assert not is_present(tmp_path / "a\0b")
    with pytest.raises(OSError, match="too long"):
        is_present(tmp_path / ("x" * 300))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return what is synced from now on, in order."""
    paths: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_a_folder_is_synced_with_each_above_it_that_was_missing(tmp_path: Path, synced: list[Path]) -> None:
    make_folder(tmp_path / "a" / "b")
    assert {*synced} == {tmp_path, tmp_path / "a"}

    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert synced == []


def test_a_new_file_is_synced_and_then_its_folder(tmp_path: Path, synced: list[Path]) -> None:
    with new_file(tmp_path / "overviews.db"):
        pass
    assert synced == [tmp_path / "overviews.db", tmp_path]


@pytest.mark.parametrize("sync", [sync_folder, lambda folder: sync_file(folder / "file")])
def test_a_disk_that_cannot_sync_is_reported_with_the_name_of_the_file(
    sync: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))

    with pytest.raises(OSError, match=re.escape(str(tmp_path))):
        sync(tmp_path)


def test_a_file_system_that_cannot_sync_folders_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))

    sync_folder(tmp_path)


def failing(number: int) -> Callable[[int], None]:
    """Return a sync that fails."""

    def fsync(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    return fsync


@given(st.lists(st.binary(min_size=1).filter(lambda name: not {0, ord("/")} & set(name)), min_size=1))
def test_any_path_has_a_text_that_encodes_and_that_it_is_read_from(names: list[bytes]) -> None:
    path = Path(os.fsdecode(b"/" + b"/".join(names)))

    text = path_text(path)

    assert path_of(text.encode().decode()) == path


def test_the_text_of_a_usual_path_is_the_path(tmp_path: Path) -> None:
    for name in ("plain", "caf\xe9", "a b%20", "file:"):
        assert path_text(tmp_path / name) == str(tmp_path / name)
