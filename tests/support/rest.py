"""What the API answers, read as a program would."""

import csv
import json
from collections.abc import AsyncIterator
from io import BytesIO, StringIO
from typing import Any

import pyarrow.parquet as pq

from tests.support.site import SiteClient

API = "/api/v1"


async def answered(client: SiteClient, path: str, **headers: str) -> Any:
    """Return the JSON that a path of the API answers."""
    got = await client.get(f"{API}{path}", **headers)
    assert got.status == 200, got.text
    return json.loads(got.body)


async def pages(client: SiteClient, path: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the rows of each page, from a path of the API on."""
    following: str | None = f"{API}{path}"
    seen: set[str] = set()
    while following is not None:
        assert following not in seen, "a page that leads to itself"
        seen.add(following)
        got = await client.get(following)
        assert got.status == 200, got.text
        page = json.loads(got.body)
        following = page["next"]
        assert got.headers.get("Link") == (None if following is None else f'<{following}>; rel="next"')
        yield page["rows"]


async def all_rows(client: SiteClient, path: str) -> list[dict[str, Any]]:
    """Return the rows of all pages."""
    return [row async for page in pages(client, path) for row in page]


async def csv_rows(client: SiteClient, path: str) -> list[list[str]]:
    """Return the lines of a table as CSV, the names first."""
    got = await client.get(f"{API}{path}", Accept="text/csv")
    assert got.status == 200, got.text
    return list(csv.reader(StringIO(got.text, newline="")))


async def parquet_table(client: SiteClient, path: str) -> Any:
    """Return a table as Parquet."""
    got = await client.get(f"{API}{path}", Accept="application/vnd.apache.parquet")
    assert got.status == 200, got.text
    return pq.read_table(BytesIO(got.body))
