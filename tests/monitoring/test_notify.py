"""Telling: against real servers that take, refuse, hang and redirect; and never a secret in what is written."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from pipeline import logs
from pipeline.errors import Trouble
from pipeline.monitoring.messages import Message
from pipeline.monitoring.notify import AddressError, Notifier
from pipeline.monitoring.outbox import ATTEMPTS, FIRST_PAUSE, KEPT, LONGEST_PAUSE, Outbox
from pipeline.monitoring.ping import Ping

SECRET = "s3cr3t-t0k3n"
BAD = Message("A run failed", "- run 12", is_good=False)
GOOD = Message("Recovered", "Recovered:\n- run failed", is_good=True)
PLENTY = timedelta(seconds=20)


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    # At debug, and through the standard library too: whatever any library says is in the output.
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(logging.DEBUG, readable=False)
    everything = logging.StreamHandler(sys.stderr)
    root.addHandler(everything)
    root.setLevel(1)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was logged by us, having looked for the secret in all that was written."""
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err
    lines = (json.loads(line) for line in captured.err.splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("library") != "asyncio"]


class SleepLog(list[float]):
    """An awaitable sleep that only takes note."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


class Place:
    """What answers on loopback, and what it was asked: the path with its query, and the body."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.asked: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.hangs = False
        self.came = asyncio.Event()
        self.released = asyncio.Event()
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.asked.append((f"{request.method} {request.rel_url}", body))
        self.came.set()
        if self.hangs:
            await self.released.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers=self.headers)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.asked]

    @property
    def notify_url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}/"

    @property
    def ping_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ping/{SECRET}"


@asynccontextmanager
async def serving() -> AsyncIterator[Place]:
    place = Place()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", place.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    place.port = runner.addresses[0][1]
    try:
        yield place
    finally:
        place.released.set()
        await runner.cleanup()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with serving() as served:
        yield served


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# Notifications


async def test_a_message_reaches_every_service(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving() as other:
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


async def test_good_news_is_marked_as_such(place: Place) -> None:
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

    assert len(place.asked) == 3
    assert sleeps == [5, 10]


async def test_what_a_service_refuses_is_logged_without_its_address(
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
    assert len(place.asked) == ATTEMPTS


async def test_a_service_that_is_down_is_told_all_of_it_at_once_when_it_is_back(place: Place) -> None:
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
    assert len(place.asked) == ATTEMPTS + 1
    assert last["title"].startswith("Recovered (and 1 ")
    assert BAD.body in last["message"]


async def test_a_service_that_hangs_holds_up_neither_the_others_nor_the_end(place: Place) -> None:
    place.hangs = True
    async with serving() as other:
        notifier = Notifier((place.notify_url, other.notify_url), sleep=SleepLog())
        notifier.send(BAD)
        async with asyncio.timeout(20):
            await place.came.wait()
            await other.came.wait()
        began = time.monotonic()
        await notifier.close(timedelta(milliseconds=50))

        assert time.monotonic() - began < 3  # apprise by itself would wait for 4 s
        assert len(other.asked) == 1
    assert len(place.asked) == 1


async def test_while_one_hangs_no_other_thread_is_begun_for_it_and_none_is_waited_for(
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
    assert errors[:2] == ["it did not end within 0.02 s", "it still hangs over the one before"]


def test_the_process_ends_though_a_service_hangs() -> None:
    script = """
import asyncio, socket
from datetime import timedelta
from pipeline.monitoring.messages import Message
from pipeline.monitoring.notify import Notifier

never_answers = socket.create_server(("127.0.0.1", 0))

async def main():
    notifier = Notifier((f"json://127.0.0.1:{never_answers.getsockname()[1]}/?rto=300",))
    notifier.send(Message("title", "body", is_good=False))
    taken = await asyncio.to_thread(never_answers.accept)
    await notifier.close(timedelta())
    print("closed")
    return taken

taken = asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["closed"])


async def test_a_redirect_is_not_followed(place: Place) -> None:
    async with serving() as elsewhere:
        place.statuses = [307] * ATTEMPTS
        place.headers = {"Location": f"http://127.0.0.1:{elsewhere.port}/{SECRET}"}
        notifier = Notifier((place.notify_url,), sleep=SleepLog())
        notifier.send(BAD)
        await notifier.close(PLENTY)

        assert elsewhere.asked == []


async def test_what_apprise_cannot_take_is_named_by_scheme_and_number_only(
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
    assert [line.partition(" is none")[0] for line in lines] == [
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
    assert len(place.asked) == 1
    assert written(capsys) == []


async def test_nothing_of_it_is_written_to_files(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    notifier = Notifier((place.notify_url,))
    notifier.send(BAD)
    await notifier.close(PLENTY)

    assert len(place.asked) == 1
    assert list(tmp_path.rglob("*")) == []


async def test_without_addresses_apprise_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_apprise(monkeypatch)
    notifier = Notifier(())
    notifier.send(BAD)
    await notifier.close(PLENTY)


def test_with_addresses_and_without_the_extra_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_apprise(monkeypatch)

    with pytest.raises(Trouble) as caught:
        Notifier((f"json://{SECRET}",))

    assert "PIPELINE_NOTIFY_URLS" in str(caught.value)
    assert caught.value.remedy == "pip install 'overview-pipeline[notify]'"
    assert caught.value.exit_code == 3
    assert caught.value.__cause__ is None


def _without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)


# Pings


async def test_a_run_is_pinged_in_order(place: Place) -> None:
    ping = Ping(place.ping_url, sleep=SleepLog())
    ping.start("run 12")
    ping.success("complete: 5 stored")
    ping.start("run 13")
    ping.fail("failed: Zürich")
    await ping.close(PLENTY)

    assert place.asked == [
        (f"POST /ping/{SECRET}/start", "run 12"),
        (f"POST /ping/{SECRET}", "complete: 5 stored"),
        (f"POST /ping/{SECRET}/start", "run 13"),
        (f"POST /ping/{SECRET}/fail", "failed: Zürich"),
    ]


@pytest.mark.parametrize(
    ("tail", "start", "success"),
    [
        ("/key/slug?create=1&rid=a%2Fb", "/key/slug/start?create=1&rid=a%2Fb", "/key/slug?create=1&rid=a%2Fb"),
        ("/key/", "/key/start", "/key/"),
        ("", "/start", "/"),
        ("?create=1", "/start?create=1", "/?create=1"),
        ("/a%2Fb/c+d#part", "/a%2Fb/c+d/start", "/a%2Fb/c+d"),
    ],
)
async def test_the_path_is_extended_before_the_query(place: Place, tail: str, start: str, success: str) -> None:
    ping = Ping(f"http://127.0.0.1:{place.port}{tail}")
    ping.start()
    ping.success()
    await ping.close(PLENTY)

    assert [asked for asked, _ in place.asked] == [f"POST {start}", f"POST {success}"]


@pytest.mark.parametrize("statuses", [[500, 503], [429, 502]])
async def test_a_ping_is_tried_again_and_the_next_waits_for_it(place: Place, statuses: list[int]) -> None:
    place.statuses = list(statuses)
    sleeps = SleepLog()
    ping = Ping(place.ping_url, sleep=sleeps)

    ping.start()
    ping.success()
    await ping.close(PLENTY)

    assert [asked.removeprefix(f"POST /ping/{SECRET}") for asked, _ in place.asked] == ["/start"] * 3 + [""]
    assert sleeps == [5, 10]


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (302, 1), (307, 1), (500, ATTEMPTS), (429, ATTEMPTS)])
async def test_a_ping_that_is_refused_is_given_up_and_logged_without_its_address(
    place: Place, status: int, attempts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving() as elsewhere:
        place.statuses = [status] * attempts
        place.headers = {"Location": f"http://127.0.0.1:{elsewhere.port}/{SECRET}"}
        ping = Ping(place.ping_url, sleep=SleepLog())
        ping.start()
        await ping.close(PLENTY)

        assert len(place.asked) == attempts
        assert elsewhere.asked == []
    [line] = written(capsys)
    assert (line["ping"], line["error"]) == ("start", f"HTTP {status}")


async def test_pings_to_where_nobody_listens_are_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    sleeps = SleepLog()
    ping = Ping(f"http://127.0.0.1:{closed_port()}/{SECRET}", sleep=sleeps)
    ping.fail()
    await ping.close(PLENTY)

    assert len(sleeps) == ATTEMPTS - 1
    assert [line["error"] for line in written(capsys)] == ["ClientConnectorError"]


async def test_a_ping_that_hangs_is_given_up_in_time(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.hangs = True
    ping = Ping(place.ping_url, sleep=SleepLog(), within=timedelta(milliseconds=20))
    ping.start()
    await ping.close(PLENTY)

    [line] = written(capsys)
    assert "Timeout" in line["error"]


async def test_the_end_waits_no_longer_than_it_is_told_to(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.hangs = True
    ping = Ping(place.ping_url)
    ping.start()
    ping.success()
    async with asyncio.timeout(20):
        await place.came.wait()
    await ping.close(timedelta())

    assert [(line["event"], line["pings"]) for line in written(capsys)] == [("pings were not sent before the end", 2)]


async def test_without_an_address_nothing_is_pinged() -> None:
    ping = Ping(None)
    ping.start()
    ping.fail()
    await ping.close()


async def test_a_proxy_from_the_environment_gets_no_ping(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        ping = Ping(place.ping_url)
        ping.start()
        await ping.close(PLENTY)

        assert (len(place.asked), proxy.asked) == (1, [])


@pytest.mark.parametrize(
    "url",
    [
        "",
        SECRET,
        f"ftp://h/{SECRET}",
        f"https:///{SECRET}",
        f"https://h:99999/{SECRET}",
        f"https://h:x/{SECRET}",
        f"https://[{SECRET}/",
        f"https://h/{SECRET} x",
        f"https://h/{SECRET}\r\nX-Header: x",
        f"https://h/{SECRET}é",
        f"https://h/{SECRET}\udc80",
    ],
)
def test_what_cannot_be_pinged_is_refused_without_being_named(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        Ping(url)

    assert "PIPELINE_PING_URL" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# The outbox


class Takes:
    """Takes what it is sent, or none of it while it is down."""

    def __init__(self) -> None:
        self.is_down = False
        self.sent: list[tuple[int, ...]] = []

    async def __call__(self, waiting: Sequence[int]) -> int:
        self.sent.append(tuple(waiting))
        await asyncio.sleep(0)
        return 0 if self.is_down else len(waiting)


def stops_after(count: int, log: list[float]) -> tuple[Callable[[float], Awaitable[None]], asyncio.Event]:
    """Return a sleep that takes note, and from so many on never returns; and what is set then."""
    reached = asyncio.Event()

    async def sleep(seconds: float) -> None:
        log.append(seconds)
        if len(log) >= count:
            reached.set()
            await asyncio.Event().wait()

    return sleep, reached


async def test_while_an_address_is_down_only_the_newest_are_kept_and_it_is_asked_ever_more_rarely() -> None:
    takes, pauses = Takes(), list[float]()
    takes.is_down = True
    sleep, reached = stops_after(10, pauses)
    outbox: Outbox[int] = Outbox(takes, sleep=sleep)

    for number in range(1_000):
        outbox.put(number)
    async with asyncio.timeout(20):
        await reached.wait()

    assert len(takes.sent) == 10
    assert takes.sent[-1] == tuple(range(1_000 - KEPT, 1_000))
    assert pauses[0] == FIRST_PAUSE.total_seconds()
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE.total_seconds()
    takes.is_down = False
    assert await outbox.close(PLENTY) == 0
    assert len(takes.sent) == 11


async def test_what_is_dropped_while_sending_is_not_taken_out_twice() -> None:
    sent: list[int] = []

    async def floods(waiting: Sequence[int]) -> int:
        sent.append(waiting[0])
        if len(sent) == 1:
            for number in range(100, 100 + KEPT + 1):
                outbox.put(number)
        return 1

    outbox: Outbox[int] = Outbox(floods, sleep=SleepLog())
    outbox.put(0)
    outbox.put(1)
    await outbox.close(PLENTY)

    assert sent == [0, *range(101, 100 + KEPT + 1)]


async def test_the_end_is_not_held_up_by_an_address_that_is_down() -> None:
    takes, pauses = Takes(), list[float]()
    takes.is_down = True
    sleep, reached = stops_after(1, pauses)
    outbox: Outbox[int] = Outbox(takes, sleep=sleep)
    outbox.put(1)
    async with asyncio.timeout(20):
        await reached.wait()

    assert await outbox.close(PLENTY) == 1
    assert takes.sent == [(1,), (1,)]


async def test_an_outbox_that_was_never_used_closes() -> None:
    assert await Outbox(Takes(), sleep=SleepLog()).close(PLENTY) == 0


async def test_what_is_put_after_a_rest_is_sent_too() -> None:
    takes = Takes()
    outbox: Outbox[int] = Outbox(takes, sleep=SleepLog())
    outbox.put(1)
    async with asyncio.timeout(20):
        while not takes.sent:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
    outbox.put(2)
    assert await outbox.close(PLENTY) == 0
    assert takes.sent == [(1,), (2,)]
