"""Take the screenshots of docs/images from pages of invented companies: `make screenshots`. Needs Chromium.

The companies, their days and the present are fixed: another run on the same machine gives the same pictures, and on
another one differs by its fonts.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

from pipeline.model.symbols import Symbol
from pipeline.sandbox.companies import Companies
from tests.support.beside import beside
from tests.support.browser import browser
from tests.support.observations import Observed, database_of
from tests.support.site import served

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LARGEST = 150_000
"""Bytes of a picture."""
_FIRST_DAY, _DAYS = date(2025, 12, 1), 103
_NOW = datetime(2026, 3, 13, 22, 30, tzinfo=UTC)
_MOST_COMPANIES = 40
_COLUMNS = "market_capitalization,pe_ratio,eps,dividend_yield,profit_margin,latest_quarter"


class Shot(NamedTuple):
    """A picture of a page."""

    name: str
    path: str
    width: int
    height: int
    scheme: str


def shots(symbol: str) -> tuple[Shot, ...]:
    """Return the pictures to take."""
    return (
        Shot("companies", f"/companies?columns={_COLUMNS}", 1200, 640, "light"),
        Shot("company", f"/companies/{symbol}", 1200, 1000, "dark"),
        Shot("as-of", f"/as-of/2026-02-10/companies/{symbol}", 390, 844, "light"),
    )


def _observations(companies: Companies, symbols: list[Symbol]) -> Iterator[Observed]:
    """Yield each company on each weekday, in the evening; on some days with nothing new."""
    for number in range(_DAYS):
        day = _FIRST_DAY + timedelta(days=number)
        if day.weekday() < 5:
            for symbol in symbols:
                document = companies.document(symbol, day)
                yield Observed(symbol, datetime.combine(day, time(22, 5), UTC), document)


def take(folder: Path) -> None:
    """Take the pictures into a folder."""
    companies = Companies()
    symbols = [Symbol(str(one)) for one in companies.symbols][:_MOST_COMPANIES]
    database = database_of(list(_observations(companies, symbols)))

    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with served(database, now=lambda: _NOW) as client:
            yield client.url

    folder.mkdir(exist_ok=True)
    with beside(serving) as url, browser() as chromium:
        for shot in shots(symbols[7]):
            page = chromium.new_page(
                viewport={"width": shot.width, "height": shot.height},
                color_scheme=shot.scheme,  # type: ignore[arg-type]
                locale="en-GB",
            )
            page.goto(f"{url}{shot.path}")
            path = folder / f"{shot.name}.png"
            page.screenshot(path=path)
            page.close()
            assert path.stat().st_size < LARGEST, f"{path} is larger than {LARGEST:,} bytes"


if __name__ == "__main__":
    take(IMAGES)
