"""Notifications: each service gets every message, at its own pace; the addresses, secrets, are written nowhere."""

import asyncio
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.monitoring.conditions import Severity
from pipeline.monitoring.messages import Message
from pipeline.monitoring.notify import Sender
from pipeline.monitoring.outbox import ATTEMPTS, FIRST_PAUSE
from tests.support.places import PLENTY, SECRET, Place, SleepLog, closed_port, notifier, place_on_loopback, written

pytestmark = pytest.mark.usefixtures("everything_logged")

BAD = Message("A run failed", "- run 12", Severity.WARNING)
GOOD = Message("Recovered", "Recovered:\n- run failed", Severity.SUCCESS)


async def test_a_message_reaches_every_service(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    async with place_on_loopback() as other:
        sent = notifier(place.notify_url, other.notify_url, sleep=SleepLog())
        sent.send(BAD)
        sent.send(GOOD)
        await sent.close(PLENTY)

        for served in (place, other):
            told = "\n".join(f"{message['title']}\n{message['message']}" for message in served.messages)
            assert "A run failed" in told
            assert "Recovered" in told
    assert written(capsys) == []


async def test_a_message_names_its_sender_and_a_recovery_is_marked_as_success(place: Place) -> None:
    for message in (BAD, GOOD):
        sent = notifier(place.notify_url)
        sent.send(message)
        await sent.close(PLENTY)

    assert [(message["title"], message["type"]) for message in place.messages] == [
        ("pipeline on nas: A run failed", "warning"),
        ("pipeline on nas: Recovered", "success"),
    ]
    signature = f"overview-pipeline {__version__} on nas, database /data/overviews.db"
    assert [message["message"] for message in place.messages] == [
        f"{BAD.body}\n\n{signature}",
        f"{GOOD.body}\n\n{signature}",
    ]


def test_a_sender_whose_folder_is_not_utf_8_is_named_in_a_text_that_can_be_sent() -> None:
    signed = Sender("nas\udcff", Path("/lat\udce9/overviews.db")).signed(BAD)

    assert signed.title.encode() == rb"pipeline on nas\udcff: A run failed"
    assert signed.body.encode().endswith(rb"on nas\udcff, database /lat\udce9/overviews.db")


async def test_a_service_that_fails_is_tried_again_after_growing_pauses(place: Place) -> None:
    place.statuses = [500, 503]
    sleeps = SleepLog()
    sent = notifier(place.notify_url, sleep=sleeps)

    sent.send(BAD)
    await sent.close(PLENTY)

    assert len(place.requests) == 3
    assert sleeps == [5, 10]


async def test_a_refused_message_is_logged_without_the_address(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.statuses = [403] * ATTEMPTS
    gone = f"json://{SECRET}@127.0.0.1:{closed_port()}/{SECRET}"
    sent = notifier(place.notify_url, gone, sleep=SleepLog())

    sent.send(BAD)
    await sent.close(PLENTY)

    lines = [line for line in written(capsys) if line["level"] == "warning"]
    assert sorted(line["number"] for line in lines if "number" in line) == [1, 2]
    assert {line["service"] for line in lines if "number" in line} == {"json://"}
    assert [line["messages"] for line in lines if "messages" in line] == [2]
    assert len(place.requests) == ATTEMPTS


async def test_a_service_that_was_down_gets_all_messages_as_one(place: Place) -> None:
    place.statuses = [500] * ATTEMPTS
    is_paused, goes_on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds >= FIRST_PAUSE.total_seconds():
            is_paused.set()
            await goes_on.wait()

    sent = notifier(place.notify_url, sleep=sleep)
    sent.send(BAD)
    async with asyncio.timeout(20):
        await is_paused.wait()
    sent.send(GOOD)
    goes_on.set()
    await sent.close(PLENTY)

    last = place.messages[-1]
    assert len(place.requests) == ATTEMPTS + 1
    assert last["title"].startswith("pipeline on nas: Recovered (and 1 ")
    assert last["message"].count("/data/overviews.db") == 1
    assert BAD.body in last["message"]


async def test_a_service_that_hangs_delays_neither_the_others_nor_closing(place: Place) -> None:
    place.hangs = True
    async with place_on_loopback() as other:
        patient = f"{place.notify_url}?rto=300"  # apprise itself gives up only after 5 minutes
        sent = notifier(patient, other.notify_url, sleep=SleepLog())
        sent.send(BAD)
        async with asyncio.timeout(20):
            await place.came.wait()
            await other.came.wait()
            await sent.close(timedelta(milliseconds=50))

        assert len(other.requests) == 1
    assert len(place.requests) == 1


async def test_while_a_service_hangs_no_second_thread_is_started_for_it_and_closing_does_not_wait(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.hangs = True
    sleeps = SleepLog()
    paused = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await sleeps(seconds)
        if len(sleeps) == 5:
            paused.set()
            await asyncio.Event().wait()

    sent = notifier(place.notify_url, within=timedelta(milliseconds=20), sleep=sleep)
    sent.send(BAD)
    async with asyncio.timeout(20):
        await paused.wait()

    threads = [thread for thread in threading.enumerate() if thread.name == "notify"]
    assert len(threads) == 1
    assert threads[0].daemon
    assert sleeps == [300, 600, 1200, 2400, 4800]
    await sent.close(timedelta(milliseconds=20))
    errors = [line["error"] for line in written(capsys) if "error" in line]
    assert errors[:2] == ["no end within 0.02 s", "the previous message still hangs"]


@pytest.mark.process
def test_the_process_ends_though_a_service_hangs() -> None:
    script = """
import asyncio, socket
from datetime import timedelta
from pipeline.monitoring.conditions import Severity
from pipeline.monitoring.messages import Message
from tests.support.places import notifier

never_answers = socket.create_server(("127.0.0.1", 0))

async def main():
    sent = notifier(f"json://127.0.0.1:{never_answers.getsockname()[1]}/?rto=300")
    sent.send(Message("title", "body", Severity.WARNING))
    taken = await asyncio.to_thread(never_answers.accept)
    await sent.close(timedelta())
    print("closed")
    return taken

taken = asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["closed"])


async def test_a_redirect_is_not_followed(place: Place) -> None:
    async with place_on_loopback() as elsewhere:
        place.statuses = [307] * ATTEMPTS
        place.headers = {"Location": f"http://127.0.0.1:{elsewhere.port}/{SECRET}"}
        sent = notifier(place.notify_url, sleep=SleepLog())
        sent.send(BAD)
        await sent.close(PLENTY)

        assert elsewhere.requests == []


async def test_an_address_that_apprise_does_not_accept_gets_nothing_and_the_others_all(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = notifier(f"nope://{SECRET}", place.notify_url)
    sent.send(BAD)
    await sent.close(PLENTY)

    assert len(place.requests) == 1
    assert written(capsys) == []


async def test_a_test_is_sent_once_to_each_and_says_which_did_not_accept_it(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.statuses = [500]
    async with place_on_loopback() as other, place_on_loopback() as hanging:
        hanging.hangs = True
        urls = (place.notify_url, "nope://", other.notify_url, f"{hanging.notify_url}?rto=300")
        results = await notifier(*urls, within=timedelta(seconds=1)).try_each(BAD)

        assert results == {1: "refused, or no connection", 3: None, 4: "no end within 1 s"}
        assert [len(served.requests) for served in (place, other, hanging)] == [1, 1, 1]
    assert written(capsys) == []


async def test_nothing_is_written_to_files(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sent = notifier(place.notify_url)
    sent.send(BAD)
    await sent.close(PLENTY)

    assert len(place.requests) == 1
    assert list(tmp_path.rglob("*")) == []


async def test_without_addresses_apprise_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_apprise(monkeypatch)
    sent = notifier()
    sent.send(BAD)
    await sent.close(PLENTY)


def _without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
