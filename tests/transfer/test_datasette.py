"""Datasette's metadata, with Datasette itself: what it hides, shows and answers. No port is opened."""

import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pipeline.model.fields import CATALOGUE
from pipeline.query.questions import QUESTIONS
from pipeline.store.relations import RELATIONS, describe
from pipeline.transfer.datasette import metadata
from tests.support.answerable import EXAMPLES

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
"""Datasette leaves some open that it made to look at SQLite, of which Python tells from 3.13 on."""

VIEWS = {"overviews", "latest_overviews", "overview_changes", "restatements", "companies"}


@asynccontextmanager
async def datasette(database: Path) -> AsyncIterator[Any]:
    """Yield Datasette's client for a database with the metadata for it."""
    app = import_module("datasette.app")  # loaded when it is needed: it takes almost a second
    served = app.Datasette(
        immutables=[str(database)], metadata=metadata(database.stem), settings={"num_sql_threads": 0}
    )
    await served.invoke_startup()
    try:
        yield served.client
    finally:
        for one in (*served.databases.values(), served.get_database("_internal")):
            for connection in (one._read_connection, one._write_connection):
                if connection is not None:
                    connection.close()
        del served
        gc.collect()  # while those warnings are ignored


async def fetched(client: Any, path: str) -> Any:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def test_internal_tables_are_hidden_and_the_views_come_first(answerable: Path) -> None:
    async with datasette(answerable) as client:
        shown = await fetched(client, "/overviews.json")
        page = (await client.get("/overviews")).text

    assert {table["name"] for table in shown["tables"] if not table["hidden"]} == RELATIONS.keys() - VIEWS
    assert {view["name"] for view in shown["views"]} == VIEWS
    assert page.index('href="overviews/latest_overviews"') < page.index("overviews/runs")


async def test_every_column_is_described(answerable: Path) -> None:
    async with datasette(answerable) as client:
        for name in RELATIONS:
            page = (await client.get(f"/overviews/{name}")).text
            columns = (await fetched(client, f"/overviews/{name}.json"))["columns"]
            assert [column for column in columns if f"<dt>{column}</dt>" not in page] == [], name
        page = unescape((await client.get("/overviews/overviews")).text)
    assert [field.column for field in CATALOGUE if describe(field) not in page] == []


async def test_each_of_the_ten_questions_has_an_answer(answerable: Path) -> None:
    async with datasette(answerable) as client:
        for question in QUESTIONS:
            page = unescape((await client.get(f"/overviews/{question.name}?{urlencode(EXAMPLES)}")).text)
            filled_in = await fetched(client, f"/overviews/{question.name}.json?_shape=array&{urlencode(EXAMPLES)}")
            with_defaults = await fetched(client, f"/overviews/{question.name}.json?_shape=array&symbol=AAPL")

            assert question.title in page
            assert [name for name in question.parameters if f'name="{name}"' not in page] == [], question.name
            assert filled_in, question.name
            assert with_defaults, question.name


async def test_a_copy_of_any_name_is_shown_and_its_links_lead_somewhere(answerable: Path) -> None:
    copy = answerable.rename(answerable.with_name("a-copy of.2026~ü.db"))
    async with datasette(copy) as client:
        start = (await client.get("/")).text
        links = [link for link in re.findall(r'href="([^"/]*/[a-z_]+)"', start) if link.endswith("/runs")]
        assert links
        assert [(await client.get(f"/{link}")).status_code for link in links] == [200] * len(links)
