"""Reads the pages of a site, and holds each to the policy."""

from tests.support.html import Page, check_policy
from tests.support.site import SiteClient


async def page_of(site: SiteClient, path: str, *, status: int = 200) -> Page:
    """Return a page that a site answers with this status."""
    got = await site.get(path)
    assert got.status == status, got.text
    assert got.headers["Content-Type"].startswith("text/html")
    page = Page.read(got.text)
    check_policy(page)
    return page


def rows_of(page: Page) -> list[list[str]]:
    """Return the texts of the cells of all rows in the page's tables, without their heads."""
    return [
        [cell.text for cell in row.children if not isinstance(cell, str)]
        for body in page.root.all("tbody")
        for row in body.all("tr")
    ]


def next_of(page: Page) -> str | None:
    """Return the address of the page that follows."""
    return next((one.attributes["href"] for one in page.root.all("a", rel="next nofollow")), None)
