"""Parameters: what is unknown, repeated, empty or invalid is refused with what to do about it; no instant is passed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.rest.routes import ENDPOINTS
from tests.support.hard_record import hard_record
from tests.support.observations import database_of, seen, text, uncovered
from tests.support.rest import API, all_rows
from tests.support.site import served

REFUSED = {
    "/as-of?fields=pe_ratio": "did you mean field?",
    "/changes?foo=1": "min_change",
    "/history/IBM?symbol=IBM": "known are",
    "/history/IBM?limit=1&limit=2": "give it once",
    "/as-of?limit=0": "from 1 to 10,000",
    "/as-of?limit=10001": "from 1 to 10,000",
    "/as-of?limit=null": "from 1 to 10,000",
    "/as-of?limit=1.5": "from 1 to 10,000",
    "/as-of?symbol=": "leave it out",
    "/as-of?symbol=IBM,,NA": "leave it out",
    "/as-of?field=pe": "pe_ratio",
    "/as-of.json?excel=true": "drop excel",
    "/as-of?at=2026-13-01": "2026-03-14T18:30Z",
    "/as-of?at=1899-12-31": "2026-03-14T18:30Z",
    "/as-of?max_staleness=2x": "hours",
    "/as-of?universe=perhaps": "true or false",
    "/as-of?after=x": "next",
    "/changes?after=IBM~1": "next",
    "/history/IBM?after=yesterday~1": "next",
    "/history/IBM?after=9999-01-01T00:00:00.000Z~1": "next",
    "/panel?after=x~IBM~1": "next",
    "/panel?after=9999-01-01T00:00:00.000Z~IBM~1": "next",
    "/changes?part=weekly": "daily, profile, reported",
    "/changes?min_change=5": "5% or 0.05",
    "/changes?since=2026-04-01&until=2026-03-01": "earlier",
    "/vintages/IBM?field=pe_ratio": "",
    "/panel?every=2d": "1d, 1mo, 1q, 1w",
    "/panel?lag=-1d": "1d",
    "/panel?at=2026-03-14&since=2026-03-01": "leave out",
    "/panel?calendar=NOWHERE": "",
}


@pytest.fixture(scope="module", name="hard")
def _hard() -> Path:
    return hard_record()


async def test_what_cannot_be_meant_is_refused_with_what_to_do(hard: Path) -> None:
    async with served(hard) as client:
        for path, remedy in REFUSED.items():
            got = await client.get(f"{API}{path}")
            assert got.status == 400, (path, got.text)
            assert got.headers["Content-Type"] == "application/problem+json"
            problem = json.loads(got.body)
            assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Bad Request", 400)
            assert remedy in (problem["remedy"] or problem["detail"]), path


async def test_a_company_or_path_that_does_not_exist_is_not_found(hard: Path) -> None:
    async with served(hard) as client:
        for path in ("/history/IBMM", "/vintages/%00", "/as-of?symbol=IBMM", "/as-off", "//"):
            got = await client.get(f"{API}{path}")
            assert got.status == 404, (path, got.text)
            assert json.loads(got.body)["remedy"], path
        assert "IBM" in json.loads((await client.get(f"{API}/history/IBMM")).body)["remedy"]


@pytest.fixture
def uncovering() -> Path:
    """Return a database of one company, and one that the API does not cover."""
    return database_of([seen(0), uncovered(1, "NONE")])


async def test_why_a_symbol_has_no_snapshot_is_said(uncovering: Path) -> None:
    async with served(uncovering) as client:
        got = await client.get(f"{API}/history/NONE")
    assert got.status == 404
    assert "not covered it since 2026-03-1" in json.loads(got.body)["detail"]


async def test_the_root_lists_the_paths_at_its_own_instant(hard: Path) -> None:
    async with served(hard) as client:
        for prefix, path in (("", ""), ("", "/"), ("/as-of/2026-03-14", "")):
            listed = json.loads((await client.get(f"{prefix}{API}{path}")).body)
            assert list(listed["paths"]) == [f"{prefix}{API}{one.path}" for one in ENDPOINTS]
            assert (await client.get(listed["openapi"])).status == 200


@pytest.fixture(name="class_share")
def _class_share() -> Path:
    return database_of([seen(hour, "BRK-B", EPS=str(1 + hour)) for hour in range(2)])


async def test_a_class_share_is_found_in_both_spellings_by_the_api_pages_and_feed(class_share: Path) -> None:
    paths = ("/api/v1/history/{}", "/api/v1/panel?symbol={}", "/companies/{}", "/changes.atom?symbol={}", "/find?q={}")
    async with served(class_share) as client:
        for path in paths:
            for spelled in ("BRK-B", "BRK.B", "brk.b"):
                got = await client.get(path.format(spelled))
                assert "BRK-B" in got.text + got.headers.get("Location", ""), (path, spelled)
                assert got.status < 400, (path, spelled)


async def test_remedies_name_paths_and_not_commands(hard: Path) -> None:
    async with served(hard) as client:
        for path, remedy in {
            "/history/XYZ": "/api/v1/companies lists all",
            "/as-of?field=qqq": "/api/v1/fields lists all",
            "/vintages/IBM?field=pe_ratio": "/api/v1/history shows",
        }.items():
            text = (await client.get(f"{API}{path}")).text
            assert remedy in text, path
            assert "pipeline " not in text, path


async def test_where_the_record_lies_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret" / "overviews.db"
    path.parent.mkdir()
    async with served(path) as client:
        absent = [await client.get(f"{API}/history/IBM"), await client.get("/changes.atom")]
        path.write_bytes(b"no database" * 500)
        damaged = [await client.get(f"{API}/history/IBM"), await client.get(f"{API}/status")]
    assert [got.status for got in absent] == [404, 404]
    assert [got.status for got in damaged] == [503, 503]
    assert not [got for got in (*absent, *damaged) if "secret" in got.text]
    assert all(json.loads(got.body)["remedy"] for got in (*absent, *damaged))


async def test_no_instant_leads_past_the_address_or_the_lock(hard: Path) -> None:
    lock = datetime(2026, 3, 16, tzinfo=UTC)
    asks = ("/as-of?at={}", "/changes?until={}", "/history/IBM?until={}", "/history/IBM?since={}", "/panel?at={}")
    for prefix, status in (("", 403), ("/as-of/2026-03-15", 400)):
        async with served(hard, lock=lock if status == 403 else None) as client:
            for ask in asks:
                later, same = "2026-03-17", "2026-03-15"
                got = await client.get(f"{prefix}{API}{ask.format(later)}")
                assert (got.status, json.loads(got.body)["status"]) == (status, status), ask
                assert (await client.get(f"{prefix}{API}{ask.format(same)}")).status == 200, ask
            if prefix:
                # Between the two, the address decides.
                assert (await client.get(f"{prefix}{API}/as-of?at=2026-03-15T12:00Z")).status == 200


async def test_instants_count_from_the_one_of_the_address(hard: Path) -> None:
    async with served(hard) as client:
        ago = await all_rows(client, f"/as-of?at={text(5)}")
        got = await client.get(f"/as-of/{text(8)}{API}/as-of?at=3h")
        assert json.loads(got.body)["rows"] == ago
