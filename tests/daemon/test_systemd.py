"""systemd: its messages arrive as it reads them, and nothing that goes wrong with them is our trouble."""

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.daemon import systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's end of the socket."""
    path = str(Path(gettempdir(), uuid4().hex))  # tmp_path can be longer than a socket's name may be
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield listening
    Path(path).unlink()


def heard(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().split("\n")


def test_each_message_is_a_datagram_of_names_and_values(manager: socket.socket) -> None:
    systemd.ready("idle until 18:30")
    assert heard(manager) == ["READY=1", "STATUS=idle until 18:30"]

    systemd.status("collecting")
    assert heard(manager) == ["STATUS=collecting"]

    systemd.watchdog()
    assert heard(manager) == ["WATCHDOG=1"]

    systemd.stopping("draining")
    assert heard(manager) == ["STOPPING=1", "STATUS=draining"]


def test_a_reload_begins_with_the_time_that_systemd_needs(manager: socket.socket) -> None:
    systemd.reloading()
    first, second = heard(manager)
    assert first == "RELOADING=1"
    name, _, microseconds = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert int(microseconds) > 0


def test_a_status_of_several_lines_is_sent_as_one(manager: socket.socket) -> None:
    systemd.status("no overview\nREADY=1\r\n\x0bSTOPPING=1 \ud800")
    assert heard(manager) == ["STATUS=no overview READY=1 STOPPING=1 ?"]


@pytest.mark.skipif(not hasattr(socket, "SO_PASSCRED"), reason="abstract names are Linux's")
def test_a_name_that_begins_with_an_at_is_of_the_abstract_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    name = uuid4().hex
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(5)
        systemd.watchdog()
        assert heard(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize("address", [None, "", "vsock:2:9999", "/nobody/listens/here", f"/{'long' * 100}", "@"])
def test_without_a_service_manager_nothing_is_sent_and_nothing_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.ready("idle")
    systemd.watchdog()


def test_a_manager_that_does_not_read_blocks_nothing(manager: socket.socket) -> None:
    for _ in range(2000):  # more than any queue of a socket holds
        systemd.watchdog()
    assert heard(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("usec", "pid", "period"),
    [
        (None, None, None),
        ("120000000", None, timedelta(minutes=2)),
        pytest.param("120000000", str(os.getpid()), timedelta(minutes=2), id="ours"),
        ("120000000", "1", None),
        ("120000000", "mine", None),
        ("0", None, None),
        ("-5", None, None),
        ("9" * 400, None, None),
        ("\uff11\uff12", None, None),
    ],
)
def test_the_watchdog_has_a_period_if_it_watches_this_process(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, period: timedelta | None
) -> None:
    for name, value in {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_period() == period


@given(usec=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_any_content_of_the_variable_is_a_period_or_none(usec: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATCHDOG_USEC", usec)
        patch.delenv("WATCHDOG_PID", raising=False)
        period = systemd.watchdog_period()
    assert period is None or period > timedelta()
