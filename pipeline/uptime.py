"""Uptime: how long this machine has been up, and which start of it that was, so that two processes can compare."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

_BOOT_ID, _UPTIME = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/uptime")


@dataclass(frozen=True, slots=True)
class Uptime:
    """The time since a boot, sleep included: no setting of the wall clock moves it."""

    boot: str
    """Which boot: an id that no other has."""
    span: timedelta


def read_uptime() -> Uptime | None:
    """Return it, as Linux says; None where the system does not."""
    try:
        return Uptime(_BOOT_ID.read_text().strip(), timedelta(seconds=float(_UPTIME.read_text().split()[0])))
    except (OSError, ValueError, IndexError):
        return None
