"""The pages of runs, today and the status: what the record says of collecting, now and as it was known then."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline.model.outcomes import Outcome, RunStatus, Trigger
from pipeline.monitoring.status import Scope
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PLANS
from tests.support.html import Page, check_policy
from tests.support.observations import after, database_of, seen
from tests.support.site import SiteClient, served
from tests.support.timeline import Ended, Listed, Missed, Ran, seen_fields, write_steps

HOSTILE = "<script>alert('why')</script>"
SCOPE = Scope(
    symbols=(), plans=(KeyPlan("", PLANS["free"]),), stale_after=timedelta(hours=72), backup_after=timedelta(days=14)
)
QUARTER = {"LatestQuarter": "2025-12-31"}
FIRST = Ran(
    0,
    (
        Ended("IBM", 0.1, fields=seen_fields(Name="IBM", MarketCapitalization="1000", EBITDA="5", **QUARTER)),
        Ended("PEP", 0.2, fields=seen_fields(Name="Pepsi", MarketCapitalization="2000")),
        Ended("OLD", 0.3, fields=seen_fields(Name="Old", MarketCapitalization="3000")),
    ),
    1,
)  # fmt: skip
SECOND = Ran(
    100,
    (
        Ended("IBM", 100.1, fields=seen_fields(Name="IBM", MarketCapitalization="1500", EBITDA="4", **QUARTER)),
        Ended("PEP", 100.2, fields=seen_fields(Name="Pepsi", MarketCapitalization="1900")),
        Ended("NONE", 100.3, Outcome.UNKNOWN),
        Ended("OLD", 100.4, Outcome.FAILED, attempts=3, detail=HOSTILE),
        Ended("NEW", 100.5, Outcome.DEFERRED, attempts=0),
    ),
    101,
    RunStatus.QUOTA_EXHAUSTED,
    detail="the quota has ended",
    fire_time=99,
)  # fmt: skip
LISTED = Listed(0, ("IBM", "PEP", "OLD", "NONE"))


@pytest.fixture(scope="module")
def record() -> Path:
    database = database_of([seen(-50, "KO", EPS="9")])
    imported = Ran(110, (), 111, trigger=Trigger.IMPORT)
    write_steps(
        database, [LISTED, FIRST, SECOND, Listed(100, ("IBM", "PEP", "OLD", "NONE", "NEW")), Missed(105, 106), imported]
    )
    return database


@pytest.fixture
async def site(record: Path) -> AsyncIterator[SiteClient]:
    async with served(record, scope=SCOPE, now=lambda: after(120)) as client:
        yield client


async def _page(site: SiteClient, path: str, status: int = 200) -> Page:
    got = await site.get(path)
    assert got.status == status, got.text
    page = Page.read(got.text)
    check_policy(page)
    return page


def _past(hours: float, path: str) -> str:
    return f"/as-of/{after(hours).isoformat().replace('+00:00', 'Z')}{path}"


async def test_all_runs_are_listed_and_missed_fire_times_among_them(site: SiteClient) -> None:
    page = await _page(site, "/runs")
    rows = page.root.one("tbody").all("tr")
    assert [row.one("a").text for row in rows] == ["4", "3", "2", "1"]
    assert [row.one("span", class_="state").text for row in rows] == [
        "complete",
        "missed",
        "quota exhausted",
        "complete",
    ]
    assert "2 stored 1 unknown 1 failed 1 deferred" in rows[2].text


async def test_a_run_that_had_not_ended_is_under_way_and_later_ones_do_not_exist(site: SiteClient) -> None:
    page = await _page(site, _past(100.25, "/runs"))
    newest, first = page.root.one("tbody").all("tr")
    assert newest.one("span", class_="state").text == "running"
    assert "quota" not in newest.text
    assert first.one("a").text == "1"
    await _page(site, _past(99, "/runs/2"), 404)
    assert "2 of 5 symbols so far" in (await _page(site, _past(100.25, "/"))).root.one("main").text


def _stale(page: Page) -> list[str]:
    return [one.text for one in page.root.all("span", class_="fair")]


async def test_a_stale_company_looks_so_on_its_page_and_in_the_table(site: SiteClient) -> None:
    assert _stale(await _page(site, "/companies/OLD")) == ["stale"]
    for other in ("IBM", "KO"):  # fresh; and, as old, but not configured
        assert _stale(await _page(site, f"/companies/{other}")) == []
    rows = (await _page(site, "/companies")).root.one("tbody").all("tr")
    assert [row.one("a").text for row in rows if "stale" in row.text] == ["OLD"]
    assert _stale(await _page(site, _past(70, "/companies/OLD"))) == []
    assert _stale(await _page(site, _past(80, "/companies/OLD"))) == ["stale"]


async def test_ages_on_a_past_page_are_not_told_from_now(site: SiteClient) -> None:
    for path in ("/companies/OLD", "/companies", "/"):
        text = (await _page(site, _past(80, path))).root.one("main").text.replace("\u202f", " ")
        assert "3 d before" in text or "79 h before" in text
        assert " ago" not in text


async def test_a_symbol_that_the_api_does_not_cover_is_said_to_be_that(site: SiteClient) -> None:
    for path, status in (("/companies/none", 404), ("/companies?q=NONE", 200)):
        text = (await _page(site, path, status)).root.one("main").text
        assert "The API does not cover NONE" in text
        assert "18 Mar 2026, 22:48" in text
        assert "Did you mean" not in text
    earlier = (await _page(site, _past(80, "/companies/NONE"), 404)).root.one("main").text
    assert "not cover" not in earlier
    assert "NONE is configured" in earlier
    assert "Did you mean IBM" in (await _page(site, "/companies?q=IBMM")).root.one("main").text


async def test_older_runs_are_on_the_next_page_by_their_number(site: SiteClient) -> None:
    page = await _page(site, "/runs?before=3")
    assert [row.one("a").text for row in page.root.one("tbody").all("tr")] == ["2", "1"]
    for wrong in ("x", "-1", "9" * 30):
        await _page(site, f"/runs?before={wrong}", 400)


async def test_a_run_has_the_outcome_of_each_symbol(site: SiteClient) -> None:
    page = await _page(site, "/runs/2")
    rows = {row.one("th").text: row for row in page.root.one("tbody").all("tr")}
    assert {name: row.one("span", class_="tally").text for name, row in rows.items()} == {
        "IBM": "stored", "PEP": "stored", "NONE": "unknown", "OLD": "failed", "NEW": "deferred"
    }  # fmt: skip
    assert HOSTILE in rows["OLD"].text
    assert [name for name, row in rows.items() if row.all("a")] == ["IBM", "PEP", "OLD"]
    assert "the quota has ended" in page.root.one("p", class_="note").text.lower()
    filters = {one.text: one.attributes["href"] for one in page.root.one("nav", class_="filter").all("a")}
    assert filters == {
        "All 5": "/runs/2", "Stored 2": "/runs/2?outcome=stored", "Unknown 1": "/runs/2?outcome=unknown",
        "Failed 1": "/runs/2?outcome=failed", "Deferred 1": "/runs/2?outcome=deferred",
    }  # fmt: skip


async def test_outcomes_are_filtered(site: SiteClient) -> None:
    page = await _page(site, "/runs/2?outcome=failed")
    assert [row.one("th").text for row in page.root.one("tbody").all("tr")] == ["OLD"]
    await _page(site, "/runs/2?outcome=splendid", 400)
    await _page(site, "/runs/2?after=nothing", 400)
    for number in ("99", "x", "1e3", "9" * 40):
        await _page(site, f"/runs/{number}", 404)


async def test_today_says_what_moved_and_what_was_restated_since_the_last_run_began(site: SiteClient) -> None:
    page = await _page(site, "/")
    moved = page.root.all("table", class_="moves")[0].one("tbody").all("tr")
    assert [(row.one("a").text, [one.attributes["value"] for one in row.all("data")]) for row in moved] == [
        ("IBM", ["1000", "1500", "0.5"]),
        ("PEP", ["2000", "1900", "-0.05"]),
    ]
    (restated,) = page.root.all("table", class_="moves")[1].one("tbody").all("tr")
    assert [one.attributes["value"] for one in restated.all("data")] == ["5", "4", "-0.2"]


async def test_today_says_how_the_symbols_stand_and_what_is_left_of_the_quota(site: SiteClient) -> None:
    page = await _page(site, "/")
    stand = page.root.one("ul", class_="standings").text
    assert "2 fresh" in stand
    assert "1 pending" in stand
    assert "1 stale" in stand
    assert "1 unknown" in stand
    assert "25 a day" in page.root.one("ul", class_="windows").text
    assert "missed" in page.root.one("p", class_="bad-words").text


async def test_each_window_has_the_name_of_its_key_where_there_are_several(record: Path) -> None:
    plans = KeyPlan("main", PLANS["free"]), KeyPlan("second", PLANS["premium-75"])
    async with served(record, scope=replace(SCOPE, plans=plans), now=lambda: after(120)) as client:
        windows = (await _page(client, "/")).root.one("ul", class_="windows").all("li")

    assert [one.one("span", class_="limit").text for one in windows] == [
        "main: 25 a day",
        "main: 1 a second",
        "second: 75 a minute",
        "second: 5 a second",
    ]


async def test_the_past_says_how_the_symbols_stood_and_nothing_of_the_present(site: SiteClient) -> None:
    page = await _page(site, _past(50, "/"))
    assert "3 fresh" in page.root.one("ul", class_="standings").text
    assert not page.root.all("ul", class_="windows")
    assert not page.root.all("table", class_="moves")[1:]
    status = await _page(site, _past(50, "/status"))
    assert not status.root.all("ul", class_="windows")
    assert "backup" not in status.root.one("main").text.lower()


async def test_the_status_lists_the_symbols_that_are_not_fresh_with_when_they_were_seen(site: SiteClient) -> None:
    page = await _page(site, "/status")
    rows = {row.one("th").text: row for row in page.root.all("table")[-1].one("tbody").all("tr")}
    assert set(rows) == {"OLD", "NEW", "NONE"}
    assert datetime.fromisoformat(rows["OLD"].all("time")[0].attributes["datetime"]) == after(0.3)
    assert rows["OLD"].all("a")
    assert next(iter(rows)) == "OLD"
    assert not rows["NONE"].all("a")


async def test_equal_questions_about_the_past_get_equal_bytes(record: Path) -> None:
    paths = [
        _past(110, path) for path in ("/", "/companies", "/companies/IBM", "/runs", "/runs/2", "/status", "/fields")
    ]
    answers = []
    for hours in (140, 5000):  # the day after that of the pages has begun
        async with served(record, scope=SCOPE, now=lambda hours=hours: after(hours)) as site:  # type: ignore[misc]
            answers.append([(await site.get(path)).body for path in paths])
    assert answers[0] == answers[1]


async def test_under_a_lock_the_pages_say_so_and_a_later_instant_is_refused(record: Path) -> None:
    async with served(record, scope=SCOPE, lock=after(50), now=lambda: after(120)) as site:
        for path in ("/", "/companies", "/companies/IBM", "/runs", "/status", "/fields"):
            page = await _page(site, path)
            assert "Locked at" in page.root.one("span", class_="lock").text
            assert page.root.one("input", id="at").attributes["max"] == after(50).date().isoformat()
        refused = await _page(site, _past(100, "/companies"), 403)
        assert "is after the lock" in refused.root.one("main").text
        assert not [one for one in refused.links if one.startswith("/as-of/")]
        day = after(50).date() - timedelta(days=1)
        steps = (await _page(site, f"/as-of/{day}/runs")).root.one("span", class_="steps").all("a")
        assert [one.attributes["href"] for one in steps] == [
            f"/as-of/{day + timedelta(days=days)}/runs" for days in (-1, 1)
        ]
        steps = (await _page(site, f"/as-of/{after(50).date()}/runs")).root.one("span", class_="steps").all("a")
        assert [one.attributes["href"] for one in steps] == [f"/as-of/{day}/runs"]
        earlier = await _page(site, _past(10, "/companies"))
        assert "Back to the lock" in earlier.root.one("a", class_="back").text


async def test_a_search_leads_to_the_company_or_to_those_that_match(site: SiteClient) -> None:
    found = {"ibm": "/companies/IBM", "+PEP+": "/companies/PEP", "p%26p": "/companies?q=p%26p", "": "/companies"}
    for text, where in found.items():
        got = await site.get(f"/find?q={text}")
        assert (got.status, got.headers["Location"]) == (303, where)
    past = await site.get(_past(50, "/find?q=ibm"))
    assert past.headers["Location"] == _past(50, "/companies/IBM")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("path=/companies%3Fq%3Da%2520b&at=2026-03-14", "/as-of/2026-03-14/companies?q=a%20b"),
        ("path=/as-of/2020-01-01/runs&at=2026-03-14", "/as-of/2026-03-14/runs"),
        ("path=/runs&at=2026-03-14&time=18:30", "/as-of/2026-03-14T18:30:00.000Z/runs"),
        ("path=/runs&at=", "/runs"),
        ("path=/runs&at=now", "/runs"),
        ("path=//evil.example/&at=", "/"),
        ("at=2026-03-14", "/as-of/2026-03-14/"),
    ],
)
async def test_the_control_of_the_date_leads_to_the_same_page_then(site: SiteClient, query: str, where: str) -> None:
    got = await site.get(f"/go?{query}")
    assert (got.status, got.headers["Location"]) == (303, where)


async def test_an_instant_that_cannot_be_read_is_refused_with_how_to_write_one(site: SiteClient) -> None:
    for path in ("/go?path=/&at=never", "/as-of/never/companies"):
        assert "2026-03-14" in (await _page(site, path, 400)).root.one("main").text


async def test_what_is_not_there_is_a_page_and_crawlers_are_sent_away(site: SiteClient) -> None:
    await _page(site, "/nothing", 404)
    assert "Disallow: /" in (await site.get("/robots.txt")).text
    assert (await site.get("/favicon.ico")).headers["Content-Type"] == "image/svg+xml"
