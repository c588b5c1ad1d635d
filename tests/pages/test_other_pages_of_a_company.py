"""Vintages, documents and comparisons: what the record says of one company, bounded by the page's instant."""

import json
from pathlib import Path

import pytest

from pipeline import History
from tests.pages.conftest import DAY, NAME, NONE
from tests.support.clocks import START
from tests.support.observations import Observed, after, database_of, seen, text
from tests.support.reading_pages import next_of, page_of, rows_of
from tests.support.site import SiteClient, served


async def test_vintages_say_when_each_value_was_known(site: SiteClient) -> None:
    page = await page_of(site, "/companies/acme/vintages?field=revenue_ttm")
    newer, older = [row for row in rows_of(page) if len(row) > 1]
    assert newer[:3] == ["31 Dec 2025", "410 B", "20 Mar 2026, 18:30"]
    assert "restated from 400 B" in newer[4]
    assert older[1:5] == ["400 B", "14 Mar 2026, 18:30", "19 Mar 2026, 18:30", ""]


async def test_vintages_show_no_value_that_was_known_later(site: SiteClient) -> None:
    page = await page_of(site, f"/as-of/{text(3 * DAY)}/companies/ACME/vintages?field=revenue_ttm")
    assert [row[1:4] for row in rows_of(page) if len(row) > 1] == [
        ["400 B", "14 Mar 2026, 18:30", "17 Mar 2026, 18:30"]
    ]


async def test_restatements_are_those_of_the_record(site: SiteClient, eventful: Path) -> None:
    with History.open(eventful) as history:
        expected = list(history.restatements(since="2026-01-01"))
    rows: list[list[str]] = []
    symbols: list[str] = []
    following: str | None = "/restatements?since=2026-01-01"
    for _ in range(2):  # of 100 companies each
        assert following is not None
        page = await page_of(site, following)
        rows += [row for row in rows_of(page) if len(row) > 1]
        symbols += [one.text for one in page.root.all("a", class_="symbol")]
        following = next_of(page)
    assert following is None
    assert len(rows) == len(expected) == 3
    assert ["Revenue", "400 B", "410 B", "▲ +2.5 %", "31 Dec 2025"] in [row[:5] for row in rows]
    assert symbols == ["ACME", "ZETA"]
    narrow = await page_of(site, "/restatements?since=2026-01-01&field=operating_margin_ttm&symbol=acme")
    assert [row[0] for row in rows_of(narrow) if len(row) > 1] == ["Operating margin"]
    none = await page_of(site, f"/as-of/{text(3 * DAY)}/restatements?since=2026-01-01")
    assert rows_of(none) == []


async def test_all_restatements_are_shown_unless_a_span_is_asked_for(site: SiteClient, eventful: Path) -> None:
    with History.open(eventful) as history:
        expected = len(list(history.restatements()))
    narrow = await page_of(site, "/restatements?symbol=ACME,ZETA")
    assert len([row for row in rows_of(narrow) if len(row) > 1]) == expected
    assert [one.text for one in narrow.root.all("a", class_="symbol")] == ["ACME", "ZETA"]  # the newest first
    names = [row[0] for row in rows_of(narrow) if len(row) > 1]
    assert names[:2] == ["Operating margin", "Revenue"]
    (shown,) = [one.text for one in narrow.root.one("nav", class_="spans").all("a") if "aria-current" in one.attributes]
    assert shown == "All"


@pytest.fixture
def restated() -> Path:
    """Return a record of two companies, the second of which was restated last."""

    def reported(day: int, symbol: str, revenue: int) -> Observed:
        return seen(day * DAY, symbol, RevenueTTM=str(revenue), LatestQuarter="2025-12-31")

    return database_of([reported(0, "AAA", 1), reported(1, "AAA", 2), reported(0, "BBB", 1), reported(2, "BBB", 2)])


async def test_the_company_that_was_restated_last_comes_first(restated: Path) -> None:
    async with served(restated) as site:
        page = await page_of(site, "/restatements")
    assert [one.text for one in page.root.all("a", class_="symbol")] == ["BBB", "AAA"]


@pytest.mark.parametrize("path", ["/restatements", "/changes"])
async def test_an_empty_span_leads_to_a_longer_one(site: SiteClient, path: str) -> None:
    page = await page_of(site, f"{path}?symbol=BETA,ZETA&until=2026-01-01")
    assert rows_of(page) == []
    links = [one.attributes["href"] for one in page.root.one("p", class_="empty").all("a")]
    assert len(rows_of(await page_of(site, links[-1]))) > 1


async def test_the_document_is_shown_as_it_was_received(site: SiteClient) -> None:
    page = await page_of(site, f"/companies/ACME/document?version={text(3 * DAY)}")
    shown = "".join(one for one in page.root.one("pre").children if isinstance(one, str))
    (original,) = [one for one in page.links if "/query?" in one]
    assert (await site.get(original)).text == shown
    document = json.loads(shown)
    assert document["Name"] == NAME
    assert document["PERatio"] == "28.75"
    assert "P/E" in [row[0] for row in rows_of(page)]  # what changed in this version


async def test_versions_after_the_instant_are_neither_listed_nor_shown(site: SiteClient) -> None:
    path = f"/as-of/{text(3 * DAY)}/companies/ACME/document"
    page = await page_of(site, path)
    assert json.loads(page.root.one("pre").text)["PERatio"] == "28.75"
    assert len(page.root.all("option")) == 4
    await page_of(site, f"{path}?version={text(5 * DAY)}", status=400)


async def test_one_company_is_compared_in_all_fields(site: SiteClient) -> None:
    page = await page_of(site, "/compare?symbol=acme&a=2026-03-14&b=2026-03-20")
    rows = {row[0]: row[1:] for row in rows_of(page) if len(row) > 1}
    assert rows["P/E"] == ["28.0", "29.5", "▲ +5.4 %"]
    assert rows["EPS"][2] == "same"
    assert rows["Revenue"][:2] == ["400 B", "410 B"]
    assert len(rows) > 50


async def test_several_companies_are_compared_in_some_fields(site: SiteClient) -> None:
    page = await page_of(site, "/compare?symbol=acme&symbol=beta&a=2026-03-13&b=2026-03-15&field=eps,%20pe_ratio")
    rows = [row for row in rows_of(page) if len(row) > 1]
    assert [row[:3] for row in rows] == [
        ["EPS", NONE, "6.10"], ["P/E", NONE, "28.2"], ["EPS", NONE, "1.00"], ["P/E", NONE, "11.5"]
    ]  # fmt: skip


async def test_no_instant_after_the_pages_own_is_compared(site: SiteClient, eventful: Path) -> None:
    await page_of(site, "/as-of/2026-03-16/compare?symbol=ACME&b=2026-03-17", status=400)
    await page_of(site, "/as-of/2026-03-16/compare?symbol=ACME&a=2026-03-17", status=400)
    page = await page_of(site, "/as-of/2026-03-16T20:00Z/compare?symbol=ACME&a=2026-03-14&b=2026-03-16")
    assert ["P/E", "28.0", "28.5"] in [row[:3] for row in rows_of(page)]
    async with served(eventful, lock=START) as locked:
        await page_of(locked, "/compare?symbol=ACME&b=2026-03-17", status=403)
        await page_of(locked, "/compare?symbol=ACME&b=2026-03-14", status=200)


async def test_each_page_of_a_company_leads_to_the_others_in_one_order(site: SiteClient) -> None:
    company = "/companies/ACME"
    paths = (company, *(f"{company}/{end}" for end in ("chart", "vintages", "document")), "/changes?symbol=ACME",
             "/compare?symbol=ACME")  # fmt: skip
    tabs = [(await page_of(site, path)).root.one("nav", class_="tabs").all("a") for path in paths]
    assert len({tuple(one.attributes["href"] for one in row) for row in tabs}) == 1
    current = [one.text for row in tabs for one in row if "aria-current" in one.attributes]
    assert current == ["Overview", "Charts", "Vintages", "Document", "Changes", "Compare"]


@pytest.mark.parametrize("path", ["/compare?symbol=NOPE", "/companies/NOPE/vintages", "/companies/NOPE/document"])
async def test_an_unknown_company_is_not_found(site: SiteClient, path: str) -> None:
    await page_of(site, path, status=404)


async def test_a_comparison_of_nothing_is_a_form(site: SiteClient) -> None:
    page = await page_of(site, "/compare")
    assert page.root.one("input", id="a").attributes["max"]
    assert rows_of(page) == []


async def test_to_compare_without_an_edit_asks_the_same(eventful: Path) -> None:
    async with served(eventful, now=lambda: after(40 * DAY)) as site:
        for prefix in ("", f"/as-of/{text(35 * DAY)}", "/as-of/2026-04-20"):
            page = await page_of(site, f"{prefix}/compare?symbol=ACME")
            given = {name: page.root.one("input", id=name).attributes["value"] for name in ("a", "b")}
            again = await page_of(site, f"{prefix}/compare?symbol=ACME&a={given['a']}&b={given['b']}&field=")
            assert rows_of(again) == rows_of(page)
            heads = [[one.text for one in each.root.one("table").all("th", class_="number")] for each in (page, again)]
            assert heads[0] == heads[1]
            assert heads[0][0].startswith("End of "), prefix


async def test_an_instant_that_is_no_day_stays_in_the_form(site: SiteClient) -> None:
    page = await page_of(site, f"/compare?symbol=ACME&a={text(5)}")
    assert page.root.one("input", id="a").attributes["value"] == text(5)
    assert page.root.one("input", id="a").attributes["type"] == "text"
