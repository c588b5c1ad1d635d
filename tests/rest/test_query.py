"""`/query`: what a client of the API gets from the record is what the API sent, to the byte."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.instants import to_text
from pipeline.model.document import as_sent
from pipeline.query.history import History
from pipeline.rest.query import NO_FUNCTION, NO_SYMBOL
from tests.support.observations import after, database_of, recorded_database, seen, text, uncovered
from tests.support.recordings import needs_recordings, recorded
from tests.support.renames import configure, rename
from tests.support.site import served

KEY = "QWERTZUIOPASDFGH"


def asking(symbol: str, at: str | None = None, function: str = "OVERVIEW") -> str:
    """Return the address that asks for a symbol, at an instant if one is given."""
    return f"{'' if at is None else f'/as-of/{at}'}/query?function={function}&symbol={symbol}&apikey={KEY}"


@pytest.fixture(scope="module")
def year() -> Path:
    return recorded_database()


@needs_recordings
async def test_the_bytes_are_those_that_the_api_sent(year: Path) -> None:
    sent = {(one["symbol"], one["body"]) for one in recorded("daily_2023_2025.jsonl.gz")}
    async with served(year) as client:
        for day in ("2023-04-01", "2023-06-01", "2024-02-29"):
            with History.open(year) as history:
                known = list(history.as_of(day))
            assert len(known) >= 15
            for snapshot in known:
                got = await client.get(asking(snapshot.symbol, day))
                assert (snapshot.symbol, got.text) in sent
                assert got.headers["Content-Type"] == "application/json"
                assert got.headers["X-Observed-At"] == to_text(snapshot.observed_at)
                assert got.headers["X-Confirmed-At"] == to_text(snapshot.confirmed_at)
                assert snapshot.staleness is not None
                assert int(got.headers["Age"]) == int(snapshot.staleness.total_seconds())


def test_every_recorded_layout_is_written_again_as_it_was() -> None:
    for document in ({}, {"Symbol": "IBM"}, {"a": 'é"\u2028\\', "b": "1"}, {"a": {"b": [1, {}]}, "c": 1.0}):
        assert as_sent(document) == json.dumps(document, ensure_ascii=False, indent=4)


@pytest.fixture(scope="module")
def several() -> Path:
    """Two snapshots of IBM, a class share, and a company that the API does not cover."""
    return database_of([
        seen(0, PERatio="10"), seen(2, PERatio="10"), seen(10, PERatio="11"), seen(3, "BRK-B", EPS="1"),
        uncovered(1, "OTCM"), uncovered(11),
    ])  # fmt: skip


async def test_an_instant_in_the_address_gives_what_was_known_then(several: Path) -> None:
    async with served(several, now=lambda: after(12)) as client:
        told = [await client.get(asking("IBM", at)) for at in (text(-1), text(0), text(2.5), text(9), text(10), None)]
        assert [got.status for got in told] == [200] * 6
        assert [json.loads(got.body).get("PERatio") for got in told] == [None, "10", "10", "10", "11", "11"]
        assert told[0].body == b"{}"
        assert [got.headers.get("X-Confirmed-At") for got in told[1:4]] == [text(0), text(2), text(2)]
        assert [int(got.headers["Age"]) for got in told[1:]] == [0, 1800, 7 * 3600, 0, 2 * 3600]


@pytest.mark.parametrize(
    "address",
    [
        "/query?function=overview&symbol=ibm",
        "/query?symbol=Ibm&function=Overview&datatype=csv&outputsize=full&entitlement=delayed&source=x",
        "/query?function=OVERVIEW&symbol=IBM&symbol=PEP",
        "/query?&function=OVERVIEW&symbol=%20IBM%20",
    ],
)
async def test_case_and_other_parameters_do_not_matter(several: Path, address: str) -> None:
    async with served(several) as client:
        assert json.loads((await client.get(address)).body) == {"Symbol": "IBM", "PERatio": "11"}


async def test_a_class_share_is_found_by_both_spellings(several: Path) -> None:
    async with served(several) as client:
        bodies = {(await client.get(asking(symbol))).body for symbol in ("BRK.B", "BRK-B", "brk.b")}
    assert [json.loads(body)["Symbol"] for body in bodies] == ["BRK-B"]


@pytest.mark.parametrize("symbol", ["OTCM", "NONE", "a b", "%00", "<script>", "é", "A" * 500, "IBM@2020-01-01x"])
async def test_what_was_never_known_is_an_empty_object(several: Path, symbol: str) -> None:
    async with served(several) as client:
        got = await client.get(asking(symbol))
    assert (got.status, got.body, got.headers["Content-Type"]) == (200, b"{}", "application/json")


async def test_without_a_database_nothing_was_known(tmp_path: Path, database: Path) -> None:
    for path in (tmp_path / "none.db", database):
        async with served(path) as client:
            assert (await client.get(asking("IBM"))).body == b"{}"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("/query", NO_FUNCTION),
        ("/query?function=&symbol=IBM", NO_FUNCTION),
        (f"/query?function=TIME_SERIES_DAILY&symbol=IBM&apikey={KEY}", NO_FUNCTION),
        (f"/query?function=OVERVIEW&apikey={KEY}", NO_SYMBOL),
        ("/query?function=OVERVIEW&symbol=%20", NO_SYMBOL),
    ],
)
async def test_what_is_not_kept_is_refused_in_the_apis_manner(several: Path, address: str, says: str) -> None:
    async with served(several) as client:
        got = await client.get(address)
    assert (got.status, json.loads(got.body)) == (200, {"Error Message": says})
    assert got.headers["Cache-Control"] == "no-store"


async def test_a_refused_instant_has_the_status_it_has_elsewhere(several: Path) -> None:
    async with served(several, lock=after(5)) as client:
        later, invalid = await client.get(asking("IBM", text(6))), await client.get(asking("IBM", "2026-13-01"))
        assert (later.status, list(json.loads(later.body))) == (403, ["Error Message"])
        assert (invalid.status, list(json.loads(invalid.body))) == (400, ["Error Message"])
        assert json.loads((await client.get(asking("IBM"))).body)["PERatio"] == "10"


@pytest.fixture(scope="module", params=[None, datetime(2026, 3, 15, tzinfo=UTC)], ids=["undated", "dated"])
def renamed(request: pytest.FixtureRequest) -> Path:
    """A company that was renamed from FB to META."""
    path = database_of([seen(0, "FB", EPS="1"), seen(30, "META", EPS="2")])
    configure(path, rename("FB", "META", request.param))
    return path


async def test_under_a_rename_the_document_is_the_companys_of_that_time(
    renamed: Path, request: pytest.FixtureRequest
) -> None:
    """Before the day of a rename, if it has one, nobody knew that there would be a META."""
    foreseen = {"Symbol": "FB", "EPS": "1"} if "undated" in request.node.name else {}
    async with served(renamed) as client:
        for symbol, before in (("FB", {"Symbol": "FB", "EPS": "1"}), ("META", foreseen)):
            then, now = await client.get(asking(symbol, text(1))), await client.get(asking(symbol))
            assert json.loads(then.body) == before
            assert json.loads(now.body) == {"Symbol": "META", "EPS": "2"}
            assert [got.headers.get("X-Observed-At") for got in (then, now)] == [text(0) if before else None, text(30)]


async def test_a_client_sends_the_token_as_its_key_and_is_refused_in_the_apis_manner(several: Path) -> None:
    async with served(several, token=KEY) as client:
        assert json.loads((await client.get(asking("IBM"))).body)["Symbol"] == "IBM"
        for address in ("/query?function=OVERVIEW&symbol=IBM&apikey=x", "/as-of/2026-03-14/query?symbol=IBM"):
            got = await client.get(address)
            assert (got.status, list(json.loads(got.body))) == (401, ["Error Message"])
            assert "token" in got.text
            assert got.headers["Cache-Control"] == "no-store"


async def test_a_key_is_nowhere_in_the_answers_or_the_log(several: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(several, lock=after(20)) as client:
        for address in (
            asking("IBM"),
            asking(KEY),
            asking("IBM", function=KEY),
            asking("IBM", "2027-01-01"),
            asking(""),
        ):
            got = await client.get(address)
            assert KEY not in got.text + str(dict(got.headers))
    assert KEY not in caplog.text
