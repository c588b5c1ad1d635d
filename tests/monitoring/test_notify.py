"""Notifications: each service gets every message, at its own pace; the addresses, secrets, are written nowhere."""

import asyncio
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import Trouble
from pipeline.monitoring.conditions import Severity
from pipeline.monitoring.messages import Message
from pipeline.monitoring.notify import Notifier
from pipeline.monitoring.outbox import ATTEMPTS, FIRST_PAUSE
from tests.support.places import PLENTY, SECRET, Place, SleepLog, closed_port, place_on_loopback, written

pytestmark = pytest.mark.usefixtures("everything_logged")

BAD = Message("A run failed", "- run 12", Severity.WARNING)
GOOD = Message("Recovered", "Recovered:\n- run failed", Severity.SUCCESS)


async def test_a_message_reaches_every_service(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    async with place_on_loopback() as other:
        notifier = Notifier((place.notify_url, other.notify_url), sleep=SleepLog())
        notifier.send(BAD)
        notifier.send(GOOD)
        await notifier.close(PLENTY)

        for served in (place, other):
            told = "\n".join(f"{message['title']}\n{message['message']}" for message in served.messages)
            assert "A run failed" in told
            assert "Recovered" in told
    assert notifier.refused == []
    assert written(capsys) == []


async def test_a_recovery_is_marked_as_success(place: Place) -> None:
    for message in (BAD, GOOD):
        notifier = Notifier((place.notify_url,))
        notifier.send(message)
        await notifier.close(PLENTY)

    assert [(message["title"], message["message"], message["type"]) for message in place.messages] == [
        (BAD.title, BAD.body, "warning"),
        (GOOD.title, GOOD.body, "success"),
    ]


async def test_a_service_that_fails_is_tried_again_after_growing_pauses(place: Place) -> None:
    place.statuses = [500, 503]
    sleeps = SleepLog()
    notifier = Notifier((place.notify_url,), sleep=sleeps)

    notifier.send(BAD)
    await notifier.close(PLENTY)

    assert len(place.requests) == 3
    assert sleeps == [5, 10]


async def test_a_refused_message_is_logged_without_the_address(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.statuses = [403] * ATTEMPTS
    gone = f"json://{SECRET}@127.0.0.1:{closed_port()}/{SECRET}"
    notifier = Notifier((place.notify_url, gone), sleep=SleepLog())

    notifier.send(BAD)
    await notifier.close(PLENTY)

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

    notifier = Notifier((place.notify_url,), sleep=sleep)
    notifier.send(BAD)
    async with asyncio.timeout(20):
        await is_paused.wait()
    notifier.send(GOOD)
    goes_on.set()
    await notifier.close(PLENTY)

    last = place.messages[-1]
    assert len(place.requests) == ATTEMPTS + 1
    assert last["title"].startswith("Recovered (and 1 ")
    assert BAD.body in last["message"]


async def test_a_service_that_hangs_delays_neither_the_others_nor_closing(place: Place) -> None:
    place.hangs = True
    async with place_on_loopback() as other:
        patient = f"{place.notify_url}?rto=300"  # apprise itself gives up only after 5 minutes
        notifier = Notifier((patient, other.notify_url), sleep=SleepLog())
        notifier.send(BAD)
        async with asyncio.timeout(20):
            await place.came.wait()
            await other.came.wait()
            await notifier.close(timedelta(milliseconds=50))

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

    notifier = Notifier((place.notify_url,), within=timedelta(milliseconds=20), sleep=sleep)
    notifier.send(BAD)
    async with asyncio.timeout(20):
        await paused.wait()

    threads = [thread for thread in threading.enumerate() if thread.name == "notify"]
    assert len(threads) == 1
    assert threads[0].daemon
    assert sleeps == [300, 600, 1200, 2400, 4800]
    await notifier.close(timedelta(milliseconds=20))
    errors = [line["error"] for line in written(capsys) if "error" in line]
    assert errors[:2] == ["no end within 0.02 s", "the previous message still hangs"]


@pytest.mark.process
def test_the_process_ends_though_a_service_hangs() -> None:
    script = """
import asyncio, socket
from datetime import timedelta
from pipeline.monitoring.conditions import Severity
from pipeline.monitoring.messages import Message
from pipeline.monitoring.notify import Notifier

never_answers = socket.create_server(("127.0.0.1", 0))

async def main():
    notifier = Notifier((f"json://127.0.0.1:{never_answers.getsockname()[1]}/?rto=300",))
    notifier.send(Message("title", "body", Severity.WARNING))
    taken = await asyncio.to_thread(never_answers.accept)
    await notifier.close(timedelta())
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
        notifier = Notifier((place.notify_url,), sleep=SleepLog())
        notifier.send(BAD)
        await notifier.close(PLENTY)

        assert elsewhere.requests == []


async def test_an_address_that_apprise_does_not_accept_is_named_by_scheme_and_number_only(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = (
        f"nope://{SECRET}",
        SECRET,
        f"  {place.notify_url} ",
        f"json://[{SECRET}",
        f"json://h/{SECRET}\udc80",
        f"mailto://{SECRET}",
        "",
    )
    notifier = Notifier(urls, sleep=SleepLog())

    lines = notifier.refused
    assert [line.partition(" is not used")[0] for line in lines] == [
        "PIPELINE_NOTIFY_URLS: address 1 (nope://)",
        "PIPELINE_NOTIFY_URLS: address 2 (no scheme)",
        "PIPELINE_NOTIFY_URLS: address 4 (json://)",
        "PIPELINE_NOTIFY_URLS: address 5 (json://)",
        "PIPELINE_NOTIFY_URLS: address 6 (mailto://)",
        "PIPELINE_NOTIFY_URLS: address 7 (no scheme)",
    ]
    assert SECRET not in "".join(lines)
    notifier.send(BAD)
    await notifier.close(PLENTY)
    assert len(place.requests) == 1
    assert written(capsys) == []


async def test_nothing_is_written_to_files(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    notifier = Notifier((place.notify_url,))
    notifier.send(BAD)
    await notifier.close(PLENTY)

    assert len(place.requests) == 1
    assert list(tmp_path.rglob("*")) == []


async def test_without_addresses_apprise_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_apprise(monkeypatch)
    notifier = Notifier(())
    notifier.send(BAD)
    await notifier.close(PLENTY)


def test_with_addresses_and_without_the_extra_one_line_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_apprise(monkeypatch)

    with pytest.raises(Trouble) as caught:
        Notifier((f"json://{SECRET}",))

    assert "PIPELINE_NOTIFY_URLS" in str(caught.value)
    assert caught.value.remedy == "pip install 'overview-pipeline[notify]'"
    assert caught.value.exit_code == 3
    assert caught.value.__cause__ is None


def _without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
