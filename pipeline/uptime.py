"""Uptime: how long this machine has been up, and which start of it that was, so that two processes can compare."""

import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path

_BOOT_ID, _UPTIME = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/uptime")
_IS_MACOS = sys.platform == "darwin"
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Uptime:
    """The time since a boot, sleep included: no setting of the wall clock moves it."""

    boot: str
    """Which boot: an id that no other has."""
    span: timedelta


def read_uptime() -> Uptime | None:
    """Return it, as Linux and macOS say; None where the system does not."""
    return of_macos() if _IS_MACOS else of_linux()


def of_linux() -> Uptime | None:
    """Return it by files of the kernel; None where there are none."""
    try:
        return Uptime(_BOOT_ID.read_text().strip(), timedelta(seconds=float(_UPTIME.read_text().split()[0])))
    except (OSError, ValueError, IndexError):
        return None


def of_macos() -> Uptime | None:
    """Return it by the kernel's id of this start, and its clock that counts sleep and cannot be set; None elsewhere."""
    ctypes = import_module("ctypes")  # the others need not load it
    boot, size = ctypes.create_string_buffer(_LONGEST_ID), ctypes.c_size_t(_LONGEST_ID)
    try:
        ask = ctypes.CDLL(None).sysctlbyname
        error = ask(b"kern.bootsessionuuid", boot, ctypes.byref(size), None, ctypes.c_size_t(0))
        span = timedelta(seconds=time.clock_gettime(time.CLOCK_MONOTONIC_RAW))
    except (OSError, AttributeError):
        return None
    return Uptime(boot.value.decode("ascii", "replace"), span) if not error and boot.value else None
