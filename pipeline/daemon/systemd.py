"""systemd: reports readiness, status and signs of life to the service manager, if there is one.

The protocol is a datagram of NAME=value lines to the socket in $NOTIFY_SOCKET: too little to depend on a library for.
Errors are ignored: nothing that goes wrong here may harm the daemon.
"""

import os
import socket
import time
from contextlib import suppress
from datetime import timedelta


def ready(status: str) -> None:
    """Report that the daemon has started, or has reloaded its configuration."""
    _notify("READY=1", f"STATUS={_line(status)}")


def reloading() -> None:
    """Report that a reload has begun: `ready` has to follow."""
    _notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(status: str) -> None:
    """Report that the daemon is about to end."""
    _notify("STOPPING=1", f"STATUS={_line(status)}")


def status(text: str) -> None:
    """Report what the daemon is doing, for `systemctl status`."""
    _notify(f"STATUS={_line(text)}")


def watchdog() -> None:
    """Report that the daemon lives."""
    _notify("WATCHDOG=1")


def watchdog_period() -> timedelta | None:
    """Return how often `watchdog` has to be called, None if there is no watchdog."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # another process is watched, the parent for example
    text = os.environ.get("WATCHDOG_USEC", "")
    microseconds = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0
    return timedelta(microseconds=microseconds) if microseconds else None


_DIGITS = 18
"""A number of more digits is centuries, which a timedelta cannot hold."""


def _line(text: str) -> str:
    """Return the text as one line: a second one would be a message of its own."""
    return " ".join(text.split())


def _notify(*lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return  # unset, or a virtual machine's (vsock:)
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # the abstract namespace
    with suppress(OSError, UnicodeError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.settimeout(0)  # a manager that does not read must not hold up the loop
        notify.sendto("\n".join(lines).encode(errors="replace"), address)
