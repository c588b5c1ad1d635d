"""The feed: valid Atom whatever the record holds, with ids that stay, newest first, bounded and capped."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.invented import INVENTED
from pipeline.rest.atom import Entry, Feed, id_of, xml
from tests.support.observations import after, database_of, seen, text, uncovered
from tests.support.renames import configure, rename
from tests.support.site import SiteClient, served

HOSTILE = 'A]]>&lt;<script>alert("1")</script>\x00\x1b\ufffe\u202e\r\n\N{SNOWMAN}\U0001f600'
ATOM = "{http://www.w3.org/2005/Atom}"
NOW = after(60)


@pytest.fixture(scope="module", name="database")
def _database() -> Path:
    database = database_of(
        [seen(hour, "FB", Name="Facebook", EPS=str(1 + hour)) for hour in range(3)]
        + [seen(3, "META", Name=HOSTILE, EPS="5"), seen(4, "META", Name="Meta", EPS="5", MarketCapitalization="7")]
        + [seen(1, "BC/PB", EPS="1"), uncovered(30, "BC/PB")]
        + [seen(0, "IBM", MarketCapitalization="9"), seen(40, "IBM", MarketCapitalization="0")]
    )
    configure(database, rename("FB", "META", after(2.5)))
    return database


async def feed(client: SiteClient, path: str) -> Any:
    """Return the feed at a path, as a feed reader has it."""
    got = await client.get(path)
    assert got.status == 200, got.text
    assert got.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    _check(got.body)
    found = feedparser.parse(got.body)
    assert not found.bozo, found.get("bozo_exception")
    return found


def company(entry: Any) -> str:
    """Return the company of an entry."""
    return str(entry.title).partition(":")[0].partition(" ")[0]


def _check(body: bytes) -> ET.Element:
    """Raise AssertionError for what RFC 4287 demands of a feed and its entries."""
    root = ET.fromstring(body)
    assert root.tag == f"{ATOM}feed"
    for element in (root, *root.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            (one,) = element.findall(f"{ATOM}{name}")
            assert one.text
        assert element.findall(f"{ATOM}link[@rel='alternate']")
    assert root.find(f"{ATOM}author/{ATOM}name") is not None
    ids = [str(one.text) for one in root.iter(f"{ATOM}id")]
    assert len(set(ids)) == len(ids)
    assert all(one.startswith("urn:uuid:") for one in ids)
    return root


async def test_an_entry_is_what_an_observation_of_a_company_changed(database: Path) -> None:
    async with served(database, now=lambda: NOW) as client:
        found = await feed(client, "/changes.atom")
        assert [(company(one), one.updated) for one in found.entries] == [
            ("IBM", text(40)), ("BC/PB", text(30)), ("META", text(4)), ("META", text(3)), ("META", text(2)),
            ("META", text(1)),
        ]  # fmt: skip
        assert found.feed.updated == text(40)
        assert found.feed.title == "Changes"
        assert [one.title for one in found.entries[::2]] == [
            "IBM: Market cap -100.00% (suspicious)",
            "META (Meta): Name (suspicious), Market cap",
            "META (Meta): EPS +50.00%",
        ]
        assert {one.term for one in found.entries[0].tags} == {"daily", "collapsed"}
        assert found.entries[1].title == "BC/PB: not covered any more"
        assert found.entries[1].link == f"{client.url}/companies/BC%2FPB"
        assert "<td>EPS</td><td>3.0</td><td>5.0</td><td>+66.67%</td>" in found.entries[3].content[0].value


async def test_a_feed_is_called_by_what_it_is_narrowed_to(database: Path) -> None:
    titles = {
        "?suspicious=true": "Suspicious changes",
        "?symbol=fb,IBM&part=daily&min_change=0.05": "Changes of FB, IBM: daily fields, by 5% or more",
        "?field=eps,PriceToSalesRatioTTM&universe=true": "Changes: EPS, P/S, configured companies",
        "?field=all": "Changes",
    }
    async with served(database, now=lambda: NOW) as client:
        for query, title in titles.items():
            assert (await feed(client, f"/changes.atom{query}")).feed.title == title
        past = await feed(client, f"/as-of/{text(10)}/changes.atom?symbol=META")
    assert past.feed.title == f"Changes of META, as of {text(10)}"


@pytest.fixture(name="made_up")
def _made_up() -> Path:
    about = {"Name": "Oxneva", "Description": f"Oxneva {INVENTED}."}
    return database_of([seen(hour, "OXNEV", EPS=str(2 + hour), **about) for hour in range(2)])


async def test_invented_companies_are_called_so(made_up: Path) -> None:
    async with served(made_up, now=lambda: NOW) as client:
        found = await feed(client, "/changes.atom")
    assert (found.feed.title, found.entries[0].title) == (
        "Changes (invented data)",
        "OXNEV (Oxneva, invented): EPS +50.00%",
    )


async def test_hostile_text_is_text(database: Path) -> None:
    async with served(database, now=lambda: NOW) as client:
        got = await client.get("/changes.atom?symbol=META&field=name")
    contents = [str(one.text) for one in _check(got.body).iter(f"{ATOM}content")]
    assert len(contents) == 2
    for content in contents:
        assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;" in content
        assert "<script" not in content
        assert "\N{REPLACEMENT CHARACTER}" in content


async def test_it_is_filtered_as_changes_are(database: Path) -> None:
    async with served(database, now=lambda: NOW) as client:
        for query, companies in {
            "suspicious=true&part=daily": {"IBM"}, "symbol=fb": {"META"}, "field=eps&min_change=60%25": {"META"},
            "part=profile": {"META"}, f"since={text(30)}": {"IBM", "BC/PB"}, f"until={text(10)}": {"META"},
        }.items():  # fmt: skip
            entries = (await feed(client, f"/changes.atom?{query}")).entries
            assert {company(one) for one in entries} == companies, query
        for query in ("symbol=ZZZ", "fields=eps", "part=x", "limit=0", "limit=501", "field=zzz"):
            assert (await client.get(f"/changes.atom?{query}")).status in (400, 404), query


async def test_it_ends_at_the_instant_of_the_address_and_the_lock(database: Path) -> None:
    async with served(database) as client:
        then = await client.get(f"/as-of/{text(10)}/changes.atom")
        assert (await client.get(f"/as-of/{text(10)}/changes.atom?until={text(11)}")).status == 400
    async with served(database, lock=after(10)) as client:
        locked = await feed(client, "/changes.atom")
        assert (await client.get(f"/changes.atom?until={text(11)}")).status == 403
    entries = feedparser.parse(then.body).entries
    assert [one.updated for one in entries] == [text(4), text(3), text(2), text(1)]
    assert [one.id for one in locked.entries] == [one.id for one in entries]


@pytest.fixture(name="plain")
def _plain() -> Path:
    """Return a record that began as the other, and knows no rename."""
    return database_of([seen(hour, "FB", Name="Facebook", EPS=str(1 + hour)) for hour in range(3)])


async def test_ids_do_not_depend_on_host_filter_or_a_later_rename(database: Path, plain: Path) -> None:
    async with served(plain, now=lambda: NOW) as client:
        before = {one.updated: one.id for one in (await feed(client, "/changes.atom?field=eps")).entries}
    async with served(database, now=lambda: NOW) as client:
        renamed = {one.updated: one.id for one in (await feed(client, "/changes.atom")).entries}
    assert before.items() <= renamed.items()


async def test_its_addresses_are_those_by_which_it_was_asked(database: Path) -> None:
    async with served(database, now=lambda: NOW) as client:
        for host in ("localhost", "127.0.0.1:99999", "[::1]:80"):
            root = _check((await client.get("/changes.atom?limit=1", Host=host)).body)
            for relation, path in (("self", "/changes.atom?limit=1"), ("alternate", "/changes?since=")):
                link = root.find(f"{ATOM}link[@rel='{relation}']")
                assert link is not None
                assert link.attrib["href"].startswith(f"http://{host}{path}"), host


async def test_what_is_left_out_is_said(database: Path) -> None:
    async with served(database, now=lambda: NOW) as client:
        found = await feed(client, "/changes.atom?limit=2")
        assert [one.title for one in found.entries][-1] == "and 4 observations more with changes"
        assert len(found.entries) == 3
        page = found.entries[-1].link.removeprefix(client.url)
        assert (await client.get(page)).status == 200
        empty = await feed(client, f"/as-of/{text(-1)}/changes.atom")
        assert empty.entries == []


@given(st.text(), st.text())
def test_any_text_makes_valid_xml(title: str, html: str) -> None:
    about = Feed(id_of(title), title, html, text(0), "http://localhost/?a=1&b", "/x", "y")
    body = xml(about, [Entry(id_of("x"), title, text(0), "/x", html, [title])])
    root = ET.fromstring(body)
    assert root.findtext(f"{ATOM}entry/{ATOM}content") is not None
    assert root.findtext(f"{ATOM}id") == id_of(title)
