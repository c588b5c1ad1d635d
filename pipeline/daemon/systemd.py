"""systemd: tells the service manager how the daemon is, where one listens; elsewhere it does nothing.

The protocol is a datagram of NAME=value lines to the socket in $NOTIFY_SOCKET: a dozen lines, for which no library is
worth depending on. Nothing that goes wrong here may harm the daemon, so all of it is ignored.
"""

import os
import socket
import time
from contextlib import suppress
from datetime import timedelta


def ready(status: str) -> None:
    """Say that the daemon has started, or has read its configuration again."""
    _notify("READY=1", f"STATUS={_line(status)}")


def reloading() -> None:
    """Say that the configuration is being read again: `ready` is to follow."""
    _notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(status: str) -> None:
    """Say that the daemon is about to end."""
    _notify("STOPPING=1", f"STATUS={_line(status)}")


def status(text: str) -> None:
    """Say what the daemon is at: `systemctl status` shows it."""
    _notify(f"STATUS={_line(text)}")


def watchdog() -> None:
    """Say that the daemon lives."""
    _notify("WATCHDOG=1")


def watchdog_period() -> timedelta | None:
    """Return the time within which `watchdog` is to be heard each time, None if nobody listens for it."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # it is another process, our parent for one, that is watched
    text = os.environ.get("WATCHDOG_USEC", "")
    microseconds = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0
    return timedelta(microseconds=microseconds) if microseconds else None


_DIGITS = 18
"""More are centuries, which a timedelta could not hold."""


def _line(text: str) -> str:
    """Return the text in one line: another would be a message of its own."""
    return " ".join(text.split())


def _notify(*lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return  # unset, or of a virtual machine (vsock:), whose manager is not ours to tell
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # the abstract namespace
    with suppress(OSError, UnicodeError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.settimeout(0)  # a manager that does not read must not hold up the loop
        notify.sendto("\n".join(lines).encode(errors="replace"), address)
