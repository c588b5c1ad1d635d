"""Mounts: the file system of a folder is that of the deepest mount above it."""

from pathlib import Path

import pytest

from pipeline.doctor.mounts import MOUNTS, Mount, mount_of

TABLE = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
31 27 0:44 / /srv/share rw,relatime shared:5 master:2 - nfs4 nas:/share rw,vers=4.2
32 31 0:45 / /srv/share/local rw - xfs /dev/sdb1 rw
33 27 0:46 / /mnt/my\040files rw - fuse.sshfs me@there: rw
34 27 0:47 / /mnt/over rw - nfs nas:/old rw
35 34 0:48 / /mnt/over rw - btrfs /dev/sdc rw
36 27 0:49 / /srv/share2 rw - cifs //nas/two rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "point", "kind"),
    [
        ("/", "/", "ext4"),
        ("/srv", "/", "ext4"),
        ("/srv/share", "/srv/share", "nfs4"),
        ("/srv/share/a/b", "/srv/share", "nfs4"),
        ("/srv/share/local/a", "/srv/share/local", "xfs"),
        ("/srv/share2/a", "/srv/share2", "cifs"),
        ("/srv/share3", "/", "ext4"),
        ("/mnt/my files/a", "/mnt/my files", "fuse.sshfs"),
        ("/mnt/over/a", "/mnt/over", "btrfs"),
    ],
)
def test_the_deepest_mount_above_a_folder_counts_and_of_two_at_one_place_the_last(
    folder: str, point: str, kind: str
) -> None:
    assert mount_of(Path(folder), TABLE) == Mount(Path(point), kind)


def test_without_a_mount_above_it_nothing_is_known() -> None:
    assert mount_of(Path("/srv"), "") is None
    assert mount_of(Path("/srv"), "31 27 0:44 / /mnt rw - nfs nas:/share rw") is None


@pytest.mark.parametrize(
    ("kind", "network", "uncertain", "memory"),
    [
        ("ext4", False, False, False), ("zfs", False, False, False), ("overlay", False, False, False),
        ("fuseblk", False, False, False), ("nfs", True, False, False), ("nfs4", True, False, False),
        ("cifs", True, False, False), ("smb3", True, False, False), ("9p", False, True, False),
        ("virtiofs", False, True, False), ("fuse.mergerfs", False, True, False), ("tmpfs", False, False, True),
    ],
)  # fmt: skip
def test_a_kind_is_local_shared_uncertain_or_memory(kind: str, network: bool, uncertain: bool, memory: bool) -> None:
    mount = Mount(Path("/"), kind)

    assert (mount.is_network, mount.is_uncertain, mount.is_memory) == (network, uncertain, memory)


def test_a_network_file_system_of_fuse_is_one() -> None:
    assert Mount(Path("/"), "fuse.sshfs").is_network


@pytest.mark.skipif(not MOUNTS.exists(), reason="not Linux")
def test_every_folder_of_this_machine_has_a_mount(tmp_path: Path) -> None:
    found = mount_of(tmp_path.resolve(), MOUNTS.read_text())

    assert found is not None
    assert found.kind
