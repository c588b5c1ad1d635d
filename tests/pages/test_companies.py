"""The page of all companies: says what the record says, and all of its state is in its address."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pipeline import History
from pipeline.model.fields import CATALOGUE
from pipeline.pages.companies import DEFAULT_COLUMNS
from tests.support.html import Page, check_policy
from tests.support.observations import after, database_of, seen, text
from tests.support.site import SiteClient, served

SECTORS = ("TECHNOLOGY", "ENERGY", None)


@pytest.fixture(scope="module")
def record() -> Path:
    """Return a record of 230 companies, some without a value, and of two days."""
    return database_of(
        [
            seen(
                hour,
                f"C{number:03}",
                Name=f"Company {number % 7} & Sons",
                Sector=SECTORS[number % 3] or "None",
                Industry=f"INDUSTRY {number % 5}",
                Exchange="NYSE" if number % 2 else "NASDAQ",
                MarketCapitalization=str(1_000_000_000 * (number % 50)) if number % 9 else "None",
                PERatio=str(number / 8 + hour) if number % 4 else "None",
                DividendYield="0.041",
                LatestQuarter="2025-12-31",
            )
            for number in range(230)
            for hour in (0, 24)
        ]
    )


@pytest.fixture
async def site(record: Path) -> AsyncIterator[SiteClient]:
    async with served(record) as client:
        yield client


async def _page(site: SiteClient, path: str) -> Page:
    got = await site.get(path)
    assert got.status == 200, got.text
    page = Page.read(got.text)
    check_policy(page)
    return page


def _symbols(page: Page) -> list[str]:
    return [one.text for one in page.root.all("a", class_="symbol")]


async def _all_symbols(site: SiteClient, path: str) -> list[str]:
    found: list[str] = []
    following: str | None = path
    while following is not None:
        assert len(found) <= 300
        page = await _page(site, following)
        found += _symbols(page)
        following = next((one.attributes["href"] for one in page.root.all("a", rel="next nofollow")), None)
    return found


async def test_values_are_those_of_the_record_to_the_last_digit(site: SiteClient, record: Path) -> None:
    page = await _page(site, "/companies?columns=market_capitalization,pe_ratio&sort=symbol")
    row = page.root.one("tbody").all("tr")[5]
    with History.open(record) as history:
        (snapshot,) = history.as_of("now", ["C005"])
    assert [one.attributes["value"] for one in row.all("data")] == [
        str(snapshot["market_capitalization"]),
        str(snapshot["pe_ratio"]),
    ]
    assert row.one("data", title="5,000,000,000 USD").text == "5.00\u202fB".replace("\u202f", " ")
    assert [one.text for one in row.all("td")][1] == "24.6"


async def test_the_past_is_its_own_page_and_its_links_stay_there(site: SiteClient) -> None:
    at = after(1).isoformat().replace("+00:00", "Z")
    page = await _page(site, f"/as-of/{at}/companies?columns=pe_ratio&sort=symbol")
    first = page.root.one("tbody").all("tr")[1]
    assert first.one("data").attributes["value"] == "0.125"
    assert text(1)[:10] in at
    stay = [one for one in page.links if one.startswith("/") and not one.startswith(("/static/", "/go"))]
    back = [one.attributes["href"] for one in page.root.all("a", class_="back")]
    steps = [one.attributes["href"] for one in page.root.one("span", class_="steps").all("a")]
    assert {one for one in stay if not one.startswith(f"/as-of/{at}/")} == {*back, *steps}


@pytest.mark.parametrize("sort", ["market_capitalization", "-market_capitalization", "-pe_ratio", "name", "-sector",
                                  "confirmed_at", "-observed_at", "symbol", "latest_quarter"])  # fmt: skip
async def test_all_pages_of_a_sort_have_each_company_once_and_in_order(
    site: SiteClient, record: Path, sort: str
) -> None:
    found = await _all_symbols(site, f"/companies?sort={sort}&columns=pe_ratio")
    assert sorted(found) == [f"C{number:03}" for number in range(230)]
    column = sort.removeprefix("-")
    if column in ("market_capitalization", "pe_ratio"):
        with History.open(record) as history:
            values = {one.symbol: one[column] for one in history.as_of("now", fields=[column])}
        numbers = [value for one in found if isinstance(value := values[one], int | float)]
        assert numbers == sorted(numbers, reverse=sort.startswith("-"))
        assert all(values[one] is None for one in found[len(numbers) :])


async def test_the_page_before_is_the_one_that_led_here(site: SiteClient) -> None:
    first = await _page(site, "/companies?sort=pe_ratio&columns=eps")
    second = await _page(site, first.root.one("a", rel="next nofollow").attributes["href"])
    again = await _page(site, second.root.one("a", rel="prev nofollow").attributes["href"])
    assert _symbols(again) == _symbols(first)


async def test_filters_and_their_counts_agree(site: SiteClient) -> None:
    page = await _page(site, "/companies?sector=ENERGY&exchange=NYSE")
    expected = [f"C{number:03}" for number in range(230) if number % 3 == 1 and number % 2]
    assert sorted(_symbols(page)) == expected
    options = page.root.one("select", id="filter-exchange").all("option")
    energy = sum(number % 3 == 1 for number in range(230))
    assert [one.text for one in options] == [
        "Any",
        f"NASDAQ ({energy - len(expected)})",
        f"NYSE ({len(expected)})",
    ]
    (selected,) = [one for one in options if "selected" in one.attributes]
    assert selected.attributes["value"] == "NYSE"


async def test_a_search_finds_parts_of_symbols_and_names_in_any_case(site: SiteClient) -> None:
    assert await _all_symbols(site, f"/companies?{urlencode({'q': 'company 3 & s', 'sort': 'symbol'})}") == [
        f"C{number:03}" for number in range(230) if number % 7 == 3
    ]
    assert _symbols(await _page(site, "/companies?q=c12&sort=symbol")) == [f"C12{digit}" for digit in range(10)]
    nothing = await _page(site, "/companies?q=%3Cscript%3E")
    assert _symbols(nothing) == []
    assert nothing.root.one("input", id="q").attributes["value"] == "<script>"


async def test_any_field_can_be_a_column_and_a_form_sends_each_by_itself(site: SiteClient) -> None:
    names = [field.column for field in CATALOGUE if field.column not in ("symbol", "name")]
    page = await _page(site, f"/companies?q=C00&{'&'.join(f'columns={name}' for name in names)}")
    assert len(page.root.one("thead").all("th")) == len(names) + 3
    assert len(page.root.one("tbody").all("tr")) == 10
    some = await _page(site, "/companies?columns=beta&columns=eps")
    assert "columns=beta,eps" in some.root.one("a", rel="next nofollow").attributes["href"]


async def test_the_head_of_the_sorted_column_says_so_and_its_link_turns_it_round(site: SiteClient) -> None:
    page = await _page(site, "/companies?sort=-pe_ratio")
    (head,) = [one for one in page.root.all("th") if "aria-sort" in one.attributes]
    assert head.attributes["aria-sort"] == "descending"
    assert head.one("a").attributes["href"] == "/companies?sort=pe_ratio"


@pytest.mark.parametrize(
    "query", ["sort=nothing", "columns=nothing", "sort=pe_ratio&after=C001&after_value=many", "sort=-"]
)
async def test_what_does_not_exist_is_refused_with_a_page(site: SiteClient, query: str) -> None:
    got = await site.get(f"/companies?{query}")
    assert got.status == 400
    check_policy(Page.read(got.text))


async def test_the_columns_of_every_company_are_there_by_default(site: SiteClient) -> None:
    page = await _page(site, "/companies")
    assert len(page.root.one("thead").all("th")) == len(DEFAULT_COLUMNS) + 3


async def test_without_a_database_each_page_says_what_to_do(tmp_path: Path) -> None:
    async with served(tmp_path / "absent.db") as client:
        assert "pipeline collect" in (await _page(client, "/companies")).root.one("main").text
        assert len((await _page(client, "/fields")).root.one("tbody").all("tr")) == len(CATALOGUE)


async def test_before_the_first_observation_there_is_no_company(site: SiteClient) -> None:
    page = await _page(site, "/as-of/1999-01-01/companies")
    assert _symbols(page) == []
    assert "by then" in page.root.one("main").text
