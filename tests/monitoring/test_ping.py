"""Pings: in order, retried, dropped in time; the address, a secret, is written nowhere."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from pipeline.monitoring.outbox import ATTEMPTS
from pipeline.monitoring.ping import Ping
from pipeline.settings.environment import PING_URL, Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.secrets import ping_url
from tests.support.places import PLENTY, SECRET, Place, SleepLog, closed_port, place_on_loopback, written

pytestmark = pytest.mark.usefixtures("everything_logged")


async def test_a_run_is_pinged_in_order(place: Place) -> None:
    ping = Ping(place.ping_url, sleep=SleepLog())
    ping.start("run 12")
    ping.success("complete: 5 stored")
    ping.start("run 13")
    ping.fail("failed: Zürich")
    await ping.close(PLENTY)

    assert place.requests == [
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

    assert [asked for asked, _ in place.requests] == [f"POST {start}", f"POST {success}"]


@pytest.mark.parametrize("statuses", [[500, 503], [429, 502]])
async def test_a_ping_is_retried_and_the_next_waits_for_it(place: Place, statuses: list[int]) -> None:
    place.statuses = list(statuses)
    sleeps = SleepLog()
    ping = Ping(place.ping_url, sleep=sleeps)

    ping.start()
    ping.success()
    await ping.close(PLENTY)

    assert [asked.removeprefix(f"POST /ping/{SECRET}") for asked, _ in place.requests] == ["/start"] * 3 + [""]
    assert sleeps == [5, 10]


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (302, 1), (307, 1), (500, ATTEMPTS), (429, ATTEMPTS)])
async def test_a_refused_ping_is_dropped_and_logged_without_the_address(
    place: Place, status: int, attempts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with place_on_loopback() as elsewhere:
        place.statuses = [status] * attempts
        place.headers = {"Location": f"http://127.0.0.1:{elsewhere.port}/{SECRET}"}
        ping = Ping(place.ping_url, sleep=SleepLog())
        ping.start()
        await ping.close(PLENTY)

        assert len(place.requests) == attempts
        assert elsewhere.requests == []
    [line] = written(capsys)
    assert (line["ping"], line["error"]) == ("start", f"HTTP {status}")


async def test_pings_to_a_closed_port_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    sleeps = SleepLog()
    ping = Ping(f"http://127.0.0.1:{closed_port()}/{SECRET}", sleep=sleeps)
    ping.fail()
    await ping.close(PLENTY)

    assert len(sleeps) == ATTEMPTS - 1
    assert [line["error"] for line in written(capsys)] == ["ClientConnectorError"]


async def test_a_ping_that_hangs_is_dropped_in_time(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.hangs = True
    ping = Ping(place.ping_url, sleep=SleepLog(), within=timedelta(milliseconds=20))
    ping.start()
    await ping.close(PLENTY)

    [line] = written(capsys)
    assert "Timeout" in line["error"]


async def test_closing_waits_no_longer_than_its_limit(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.hangs = True
    ping = Ping(place.ping_url)
    ping.start()
    ping.success()
    async with asyncio.timeout(20):
        await place.came.wait()
    await ping.close(timedelta())

    assert [(line["event"], line["pings"]) for line in written(capsys)] == [("pings not sent before the end", 2)]


async def test_without_an_address_nothing_is_pinged() -> None:
    ping = Ping(None)
    ping.start()
    ping.fail()
    await ping.close()


async def test_a_proxy_from_the_environment_gets_no_ping(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place_on_loopback() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        ping = Ping(place.ping_url)
        ping.start()
        await ping.close(PLENTY)

        assert (len(place.requests), proxy.requests) == (1, [])


@given(
    st.from_regex(
        r"https?://[a-z:@\[\]]{0,9}(127\.0\.0\.1|example\.com|\[::1\]|[^/]{0,6})(:[0-9]{0,6})?(/.{0,9})?",
        fullmatch=True,
    )
)
@example("http://:[::1]")
def test_every_address_that_the_settings_accept_can_be_pinged(url: str) -> None:
    with suppress(SettingsError):
        accepted = ping_url(Environment({PING_URL: url}))
        event(f"accepted: {accepted is not None}")
        Ping(accepted)
