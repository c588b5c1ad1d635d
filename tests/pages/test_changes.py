"""The page of changes: the record's changes, all of them, page by page, and nothing later than its instant."""

from pathlib import Path

import pytest

from pipeline import History
from tests.pages.conftest import NAME
from tests.support.observations import after, database_of, seen, text
from tests.support.reading_pages import next_of, page_of, rows_of
from tests.support.site import SiteClient, served

SINCE_ALL = "since=2026-01-01"


async def _all_rows(site: SiteClient, path: str) -> list[list[str]]:
    found: list[list[str]] = []
    following: str | None = path
    while following is not None:
        page = await page_of(site, following)
        found += [row for row in rows_of(page) if len(row) > 1]
        following = next_of(page)
    return found


@pytest.mark.parametrize(
    "query", ["", "&min_change=5%25", "&part=reported", "&field=pe_ratio,%20eps", "&suspicious=1", "&symbol=acme"]
)
async def test_every_change_is_on_one_page(site: SiteClient, eventful: Path, query: str) -> None:
    asked = {
        "": {},
        "&min_change=5%25": {"min_change": 0.05},
        "&part=reported": {"part": "reported"},
        "&field=pe_ratio,%20eps": {"fields": ["pe_ratio", "eps"]},
        "&suspicious=1": {"suspicious": True},
        "&symbol=acme": {"symbols": ["ACME"]},
    }[query]
    with History.open(eventful) as history:
        expected = list(history.changes(since="2026-01-01", **asked))  # type: ignore[arg-type]
    rows = await _all_rows(site, f"/changes?{SINCE_ALL}{query}")
    assert len(rows) == len(expected) > 0


@pytest.fixture
def old() -> Path:
    """Return a record of five companies that begins long ago."""
    observations = [
        seen(hours, symbol, CIK=value)
        for symbol in ("A", "B", "C", "D", "E")
        for hours, value in ((-300_000, "1"), (0, "1"), (1, "2"))
    ]
    return database_of(observations)


async def test_a_page_looks_through_no_more_days_of_companies_than_can_be_read_in_time(old: Path) -> None:
    async with served(old) as client:
        lately, ever = f"/changes?{SINCE_ALL}&suspicious=1", "/changes?since=all&suspicious=1"
        assert next_of(await page_of(client, lately)) is None
        assert next_of(await page_of(client, ever)) is not None
        assert await _all_rows(client, ever) == await _all_rows(client, lately) != []


async def test_a_page_ends_with_a_whole_snapshot(site: SiteClient) -> None:
    page = await page_of(site, f"/changes?{SINCE_ALL}")
    following = next_of(page)
    assert following is not None
    assert {"after", "since"} <= {part.partition("=")[0] for part in following.partition("?")[2].split("&")}
    groups = [row.text for row in page.root.all("tr", class_="group")]
    more = [row.text for row in (await page_of(site, following)).root.all("tr", class_="group")]
    assert not set(groups) & set(more)


@pytest.mark.parametrize("at", [text(24), "9999-01-01T00:00:00.000Z"])
async def test_after_the_instant_of_the_page_there_is_nothing_of_a_company(site: SiteClient, at: str) -> None:
    shown = await page_of(site, f"/as-of/{text(24)}/changes?{SINCE_ALL}&symbol=ACME&after=ACME~{at}")
    assert shown.root.all("tr", class_="group") == []


async def test_nothing_later_than_the_instant_is_listed(site: SiteClient) -> None:
    before = await page_of(site, f"/as-of/{text(24)}/changes?{SINCE_ALL}&symbol=ACME")
    assert [row.all("time")[0].attributes["datetime"] for row in before.root.all("tr", class_="group")] == [
        after(24).isoformat()
    ]


async def test_hostile_names_and_fields_are_text(site: SiteClient) -> None:
    page = await page_of(site, f"/changes?{SINCE_ALL}&symbol=ACME")
    names = {one.text for one in page.root.all("tr", class_="group")[0].all("span", class_="name")}
    assert names == {NAME}
    assert [row[1:3] for row in rows_of(page) if row[0] == "Extra<i>"] == [["0", "1"], ["1", "2"]]
    assert not page.root.all("i")


async def test_coverage_and_suspicions_are_told(site: SiteClient) -> None:
    rows = rows_of(await page_of(site, f"/changes?{SINCE_ALL}&symbol=ACME"))
    assert [row[4] for row in rows if row[0] == "Coverage by the API"] == ["uncovered", "covered"]
    (jump,) = [row for row in rows if row[0] == "Market cap" and "suspicious" in row[4]]
    assert jump[1:3] == ["3.52\u202fT".replace("\u202f", " "), "34.0 M"]


async def test_the_feed_has_the_same_filter(site: SiteClient) -> None:
    page = await page_of(site, "/as-of/2026-03-20/changes?symbol=ACME&min_change=5%25&since=&part=daily")
    (feed,) = page.root.all("link", rel="alternate")
    assert feed.attributes["href"] == "/as-of/2026-03-20/changes.atom?symbol=ACME&min_change=5%25&part=daily"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("min_change=x", 400),
        ("part=x", 400),
        ("field=x", 400),
        ("since=x", 400),
        ("after=A~x", 400),
        ("symbol=NO", 404),
    ],
)
async def test_what_cannot_be_asked_is_refused(site: SiteClient, query: str, status: int) -> None:
    await page_of(site, f"/changes?{query}", status=status)


async def test_a_record_without_changes_says_so(tmp_path: Path) -> None:
    async with served(tmp_path / "none.db") as client:
        assert rows_of(await page_of(client, "/changes")) == []
