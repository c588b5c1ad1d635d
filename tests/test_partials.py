"""Partial files: whoever writes a target next removes what a killed process left of it, and nothing else."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pipeline.files import filling, new_file, replace_content, replace_durably, replacing
from pipeline.partials import abandoned, partial_file, partial_folder, remove_abandoned, scratch_folder

LEFT = "out.01234567.partial"


def replaces(target: Path) -> None:
    with replacing(target, check=lambda _: None) as file:
        file.write(b"new")


def fills(target: Path) -> None:
    with filling(target, check=lambda _: None) as folder:
        (folder / "part").write_bytes(b"new")


WRITES: list[Callable[[Path], None]] = [
    replaces,
    fills,
    lambda target: replace_content(target, b"new"),
    lambda target: replace_durably(target, b"new"),
]


@pytest.mark.parametrize("write", WRITES)
def test_what_a_killed_process_left_of_a_target_is_removed(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / LEFT).write_bytes(b"half")
    (tmp_path / f"{LEFT}-journal").write_bytes(b"half")
    (tmp_path / "out.89abcdef.partial").mkdir()
    (tmp_path / "out.89abcdef.partial" / "part").write_bytes(b"half")

    write(tmp_path / "out")

    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_copy_that_fails_is_removed_with_what_sqlite_keeps_beside_it(tmp_path: Path) -> None:
    def fail() -> None:
        with partial_file(tmp_path / "copy.db", 0o600) as partial:
            partial.path.with_name(f"{partial.path.name}-journal").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


OTHERS = [
    "other.01234567.partial",
    "out.partial",
    "out.0123456.partial",
    "out.0123456x.partial",
    "xout.01234567.partial",
]


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_name_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")

    remove_abandoned(tmp_path / "out")

    assert (tmp_path / name).read_bytes() == b"precious"


@pytest.mark.parametrize("partial", [lambda target: partial_file(target, 0o600), partial_folder])
def test_what_a_process_is_writing_stays(
    tmp_path: Path, partial: Callable[[Path], AbstractContextManager[object]]
) -> None:
    with partial(tmp_path / "out"):
        before = list(tmp_path.iterdir())
        replaces(tmp_path / "out")
        assert abandoned(tmp_path) == []
        assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "out"])

    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize("plant", ["symlink", "fifo", "folder link"])
def test_a_planted_name_is_neither_followed_nor_waited_for(tmp_path: Path, plant: str) -> None:
    precious = tmp_path / "precious"
    (precious.mkdir() if plant == "folder link" else precious.write_bytes(b"x"))
    (os.mkfifo(tmp_path / LEFT) if plant == "fifo" else (tmp_path / LEFT).symlink_to(precious))

    replaces(tmp_path / "out")

    assert precious.exists()
    assert (tmp_path / "out").read_bytes() == b"new"
    assert abandoned(tmp_path) == []


@pytest.mark.parametrize("write", [WRITES[2], WRITES[3]])
def test_a_link_at_the_name_of_a_file_of_ours_is_replaced(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "precious").write_bytes(b"x")
    (tmp_path / "out").symlink_to("precious")

    write(tmp_path / "out")

    assert (tmp_path / "precious").read_bytes() == b"x"
    assert (tmp_path / "out").read_bytes() == b"new"
    assert not (tmp_path / "out").is_symlink()


def test_a_link_at_the_name_of_a_new_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("elsewhere")

    with pytest.raises(FileExistsError), new_file(tmp_path / "out"):
        pass

    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_was_taken_for_abandoned_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    taken: list[Path] = []

    def flock_once_removed(descriptor: int, how: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock_once_removed)
    with partial_file(tmp_path / "out", 0o600) as partial:
        assert partial.path.exists()
        assert partial.path not in taken


def test_a_folder_that_was_taken_for_abandoned_before_it_was_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    taken: list[Path] = []

    def open_once_removed(path: Path, flags: int, *mode: int, **options: int) -> int:
        if not taken:
            taken.append(path)
            path.rmdir()
        return real(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", open_once_removed)
    with partial_folder(tmp_path / "out") as partial:
        assert partial.path.is_dir()
        assert partial.path not in taken


@pytest.mark.process
def test_scratch_folders_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed = "import os; from pipeline.partials import scratch_folder\nwith scratch_folder('x'): os._exit(9)"
    subprocess.run([sys.executable, "-c", killed], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False, timeout=30)
    (left,) = abandoned(tmp_path)

    with scratch_folder("x") as folder:
        assert not left.exists()
        assert folder.parent == tmp_path

    assert list(tmp_path.iterdir()) == []


# Power cuts: a rename that is not on the disk can be undone


@pytest.mark.parametrize("write", [replaces, fills, WRITES[3]])
def test_content_is_on_the_disk_before_its_name_and_the_name_before_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.replace

    def noting_fsync(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def noting_rename(source: Path, target: Path) -> None:
        done.append("renamed")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_rename)
    write(tmp_path / "out")

    assert done.count("renamed") == 1
    assert done[-2:] == ["renamed", tmp_path.name]
    assert any(name == "part" or name.endswith(".partial") for name in done[:-2])
