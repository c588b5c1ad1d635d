"""`pipeline notify`: what it shows of the addresses, what it sends with --test, and how it ends."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.beside import beside
from tests.support.commands import Ended, assert_note, assert_refused, call, table
from tests.support.places import SECRET, Place, closed_port, place_on_loopback

pytest.importorskip("apprise", reason="the extra `notify` is not installed")


@pytest.fixture
def receiver() -> Iterator[Place]:
    with beside(place_on_loopback) as served:
        yield served


def notify(folder: Path, *words: str, urls: str, **variables: str) -> Ended:
    """Call the command, and check that it prints no part of an address that is a secret."""
    ended = call(folder, "notify", *words, PIPELINE_NOTIFY_URLS=urls, **variables)
    assert SECRET not in ended.out + ended.err
    return ended


def test_addresses_are_listed_by_service_and_host_and_nothing_is_sent(folder: Path, receiver: Place) -> None:
    ended = notify(folder, urls=f"{receiver.notify_url} tgram://123456789:{SECRET}/12345")

    assert table(ended) == [
        ["number", "service", "host", "result", "detail"],
        ["1", "JSON", "127.0.0.1", "not tried", "-"],
        ["2", "Telegram", "-", "not tried", "-"],
    ]
    assert ended.err == ""
    assert receiver.requests == []


def test_a_test_reaches_each_address_and_names_program_host_and_database(folder: Path, receiver: Place) -> None:
    ended = notify(folder, "--test", "--database", "data/own.db", urls=f"{receiver.notify_url} {receiver.notify_url}")

    assert [row[3] for row in table(ended)[1:]] == ["sent", "sent"]
    assert len(receiver.messages) == 2
    for message in receiver.messages:
        assert message["type"] == "info"
        assert message["title"] == f"pipeline on {socket.gethostname()}: Test"
        assert str(folder / "data" / "own.db") in message["message"]
    assert not (folder / "data").exists(), "nothing is stored"


def test_a_test_that_was_not_accepted_ends_with_1_after_one_attempt(folder: Path, receiver: Place) -> None:
    receiver.statuses = [500]
    urls = f"{receiver.notify_url} json://user:{SECRET}@127.0.0.1:{closed_port()}/{SECRET} {receiver.notify_url}/other"

    ended = notify(folder, "--test", "--json", urls=urls)

    assert ended.code == ExitCode.FAILED
    assert [(one["number"], one["service"], one["host"]) for one in ended.json] == [
        (number, "JSON", "127.0.0.1") for number in (1, 2, 3)
    ]
    assert sorted(one["result"] for one in ended.json) == ["failed", "failed", "sent"]
    assert {one["detail"] for one in ended.json} == {"refused, or no connection", None}
    assert len(receiver.requests) == 2


def test_an_address_that_is_wrong_ends_with_3_and_the_others_are_tried(folder: Path, receiver: Place) -> None:
    urls = f"nope://{SECRET} {receiver.notify_url}"

    for words in ([], ["--test"]):
        ended = notify(folder, *words, "--json", urls=urls)
        assert ended.code == ExitCode.REFUSED
        assert (ended.json[0]["service"], ended.json[0]["result"]) == ("nope://", "invalid")
        assert "appriseit.com" in ended.json[0]["detail"]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("urls", "variables", "words"),
    [
        ("", {}, ["no notification addresses", "PIPELINE_NOTIFY_URLS"]),
        ("", {"PIPELINE_PING_URL": "https://hc-ping.com/x"}, ["no notification addresses"]),
        (SECRET, {}, ["PIPELINE_NOTIFY_URLS", "invalid URL"]),
        ("json://127.0.0.1", {"PIPELINE_PING_URL": f"http://example.com/{SECRET}"}, ["PIPELINE_PING_URL"]),
        ("json://127.0.0.1", {"PIPELINE_PING_URL": f"https://example.com:0/{SECRET}"}, ["PIPELINE_PING_URL"]),
    ],
)
def test_without_addresses_or_with_none_of_the_form_of_one_it_ends_with_3(
    folder: Path, urls: str, variables: dict[str, str], words: list[str]
) -> None:
    assert_refused(notify(folder, "--test", urls=urls, **variables), ExitCode.REFUSED, *words)


def test_quiet_prints_nothing_but_what_failed(folder: Path, receiver: Place) -> None:
    well = notify(folder, "--test", "-q", urls=receiver.notify_url)
    receiver.statuses = [500]
    failed = notify(folder, "--test", "-q", urls=receiver.notify_url)

    assert well == Ended(ExitCode.DONE, "", "")
    assert (failed.code, failed.out) == (ExitCode.FAILED, "")
    assert_note(failed, "address 1 (JSON)", "refused, or no connection")


def test_an_address_that_is_pinged_is_not_tried_since_that_would_be_taken_for_a_run(
    folder: Path, receiver: Place
) -> None:
    ended = notify(folder, "--test", urls=receiver.notify_url, PIPELINE_PING_URL=receiver.ping_url)

    assert ended.code == ExitCode.DONE
    assert_note(ended, "PIPELINE_PING_URL", "not tried")
    assert len(receiver.requests) == 1
