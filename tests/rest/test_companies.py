"""Companies: found, sorted and paged as on the page; one of them in full, with the document as received."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import History
from tests.support.observations import after, database_of, seen, text
from tests.support.renames import configure, rename
from tests.support.rest import API, all_rows, answered, csv_rows, pages
from tests.support.site import served

AT = text(10)


@pytest.fixture(scope="module", name="database")
def _database() -> Path:
    """Return a record of companies in two sectors, one of which was renamed, and one that is known later."""
    database = database_of(
        [
            seen(0, "FB", Name="Facebook", Sector="TECHNOLOGY", EPS="3"),
            seen(
                1, "META", Name="Meta", Sector="TECHNOLOGY", EPS="3.5", MarketCapitalization=str(2**53 + 1), New="1e5"
            ),
            seen(0, "IBM", Name="Business Machines", Sector="TECHNOLOGY", EPS="7", Industry="x"),
            seen(0, "BC/PB", Name="Brunswick <b>", Sector="RECREATION", EPS="None"),
            seen(0, "KO", Name="Coke", EPS="-1"),
            seen(20, "NEW", Name="Later", EPS="100"),
        ]
    )
    configure(database, rename("FB", "META", after(0.5)))
    return database


def symbols(rows: list[dict[str, Any]]) -> list[str]:
    return [row["symbol"] for row in rows]


async def found(database: Path, query: str) -> list[str]:
    async with served(database) as client:
        got = await client.get(f"/as-of/{AT}{API}/companies?{query}")
        assert got.status == 200, got.text
        return symbols(json.loads(got.body)["rows"])


async def test_those_that_were_known_are_listed_and_narrowed(database: Path) -> None:
    assert await found(database, "") == ["BC/PB", "IBM", "KO", "META"]
    assert await found(database, "q=bus") == ["IBM"]
    assert await found(database, "q=c/p") == ["BC/PB"]
    assert await found(database, "sector=technology&q=m") == ["IBM", "META"]
    assert await found(database, "industry=y") == []
    assert await found(database, "max_staleness=9.5") == ["META"]


async def test_they_are_sorted_by_any_field_those_without_a_value_last(database: Path) -> None:
    assert await found(database, "sort=eps") == ["KO", "META", "IBM", "BC/PB"]
    assert await found(database, "sort=-EPS") == ["IBM", "META", "KO", "BC/PB"]
    assert await found(database, "sort=-observed_at&field=eps") == ["META", "BC/PB", "IBM", "KO"]
    assert await found(database, "sort=-symbol") == ["META", "KO", "IBM", "BC/PB"]


@pytest.mark.parametrize("sort", ["symbol", "-eps", "name", "-sector", "latest_quarter", "confirmed_at"])
async def test_pages_are_the_same_list(database: Path, sort: str) -> None:
    async with served(database) as client:
        whole = await all_rows(client, f"/companies?sort={sort}&field=all")
        found = [page async for page in pages(client, f"/companies?sort={sort}&limit=2&field=all")]
    assert [row for page in found for row in page] == whole
    assert [len(page) for page in found] == [2, 2, 1]


async def test_the_columns_are_those_of_an_as_of_answer_but_for_the_staleness(database: Path) -> None:
    with History.open(database) as history:
        answer = history.as_of(AT, fields=["all"])
        known = [dict(zip(answer.names, row, strict=True)) for row in answer.rows()]
    for row in known:
        del row["staleness_hours"]
    async with served(database) as client:
        assert json.loads((await client.get(f"/as-of/{AT}{API}/companies?field=all")).body)["rows"] == known
        names, *rows = await csv_rows(client, "/companies?field=eps")
        assert names == [
            "symbol", "name", "sector", "industry", "exchange", "eps", "observed_at", "confirmed_at", "observed_symbol",
        ]  # fmt: skip
        assert len(rows) == 5


async def test_one_is_answered_in_full_by_either_symbol(database: Path) -> None:
    async with served(database) as client:
        for symbol in ("meta", "FB"):
            full = await answered(client, f"/companies/{symbol}")
            assert (full["symbol"], full["observed_symbol"], full["eps"]) == ("META", "META", 3.5)
            assert full["market_capitalization"] == 2**53 + 1
            assert full["first_observed_at"] == text(0)
            assert full["document"]["New"] == "1e5"
        then = json.loads((await client.get(f"/as-of/{text(0)}{API}/companies/FB")).body)
        assert (then["document"]["Symbol"], then["eps"]) == ("FB", 3)
        slashed = await answered(client, "/companies/BC%2FPB.json")
        assert slashed["name"] == "Brunswick <b>"


async def test_what_was_not_known_yet_is_not_found_and_not_suggested(database: Path) -> None:
    async with served(database) as client:
        assert (await client.get(f"{API}/companies/NEW")).status == 200
        got = await client.get(f"/as-of/{AT}{API}/companies/NEW")
        never = await client.get(f"/as-of/{AT}{API}/companies/NEX")
    assert (got.status, never.status) == (404, 404)
    assert got.text.replace("NEW", "NEX") == never.text


async def test_a_sort_or_a_place_that_cannot_be_is_refused(database: Path) -> None:
    async with served(database) as client:
        for query in (
            "sort=description",
            "sort=staleness_hours",
            "after=x~1",
            "after=A~IkEi~1&sort=eps",
            "after=A~MQ~1",
        ):
            assert (await client.get(f"{API}/companies?{query}")).status == 400, query
