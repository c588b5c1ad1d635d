"""Mounts: which file system a folder is on, by the kernel's table, and whether SQLite can be trusted there."""

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""Linux has it; elsewhere there is none."""
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gpfs", "beegfs"}
)
_FOREIGN = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs", "fakeowner", "drvfs"})
"""Folders that another system lends to this one: a virtual machine's host, Docker Desktop, WSL."""
_NETWORK_BY_FUSE = frozenset({"fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.s3fs", "fuse.davfs", "fuse.ceph"})
_MEMORY = frozenset({"tmpfs", "ramfs"})
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: its place, and its type such as `ext4`."""

    point: Path
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether other machines can write to it."""
        return self.kind in _NETWORK or self.kind in _NETWORK_BY_FUSE

    @property
    def is_uncertain(self) -> bool:
        """Whether it depends on a program whether locks and shared memory work on it."""
        return self.kind in _FOREIGN or self.kind == "fuse" or self.kind.startswith("fuse.")

    @property
    def is_memory(self) -> bool:
        """Whether its files are gone when the machine restarts."""
        return self.kind in _MEMORY


def mount_of(folder: Path, table: str) -> Mount | None:
    """Return the mount that a folder is on: of those above it the deepest, and of equal ones the last.

    `table` has the lines of `mountinfo` (proc(5)). None if there is none above the folder. The folder is absolute.
    """
    found: Mount | None = None
    for line in table.splitlines():
        mounted, _, source = line.partition(" - ")
        fields, kinds = mounted.split(" "), source.split(" ")
        if len(fields) < 5 or not kinds[0]:
            continue
        point = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if folder.is_relative_to(point) and (found is None or len(point.parts) >= len(found.point.parts)):
            found = Mount(point, kinds[0])
    return found
