"""Access: a token where one is set, names of this machine alone, and nothing for other sites' pages."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.pages.rendering import ASSETS
from tests.support.site import SiteClient, served

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PROTECTED = ("/", "/metrics", "/fields", "/api/v1/fields", "/as-of/2026-03-14/api/v1/fields", "/query", "/nothing")
QUERY = "/query?function=OVERVIEW&symbol=IBM"


def basic(password: str, user: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[SiteClient]:
    async with served(tmp_path / "none.db", token=TOKEN, allowed_hosts={"nas.lan"}) as client:
        yield client


async def test_without_the_token_there_is_nothing_but_health_checks(client: SiteClient) -> None:
    for path in (*PROTECTED, ASSETS.address("site.css")):
        got = await client.get(path)
        assert got.status == 401, path
        assert "token" in got.text
        assert len(got.text) < 200
        assert got.headers["Cache-Control"] == "no-store"
    assert (await client.get("/-/healthy")).status == 200
    ready = await client.get("/-/ready")
    assert ready.status == 503  # there is no database
    assert "none.db" in ready.text
    assert "/none.db" not in ready.text


async def test_it_is_taken_as_a_bearer_token_as_a_password_and_by_query_as_apikey(client: SiteClient) -> None:
    for headers in (BEARER, {"Authorization": f"bearer {TOKEN}"}, basic(TOKEN), basic(TOKEN, "anybody")):
        assert (await client.get("/api/v1/fields", **headers)).status == 200
    for path in (QUERY, f"/as-of/2026-03-14{QUERY}"):
        assert (await client.get(f"{path}&apikey={TOKEN}")).status == 200
        assert (await client.get(f"{path}&apikey=demo")).status == 401
    assert (await client.get(f"/api/v1/fields?apikey={TOKEN}")).status == 401  # addresses are remembered and shared


@pytest.mark.parametrize(
    "headers",
    [
        basic("correct-horse"),
        basic("", TOKEN),
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN.upper()}"},
        {"Authorization": TOKEN},
        {"Authorization": "Basic \xff"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"Authorization": ""},
    ],
)
async def test_anything_else_is_refused_and_a_browser_asks_for_it(client: SiteClient, headers: dict[str, str]) -> None:
    async with client.session.get(f"{client.url}/fields", headers=headers) as response:
        assert response.status == 401
        schemes = [one.split()[0] for one in response.headers.getall("WWW-Authenticate")]
        assert schemes == ["Basic", "Bearer"]
        assert TOKEN not in await response.text()


async def test_a_web_page_whose_name_resolves_to_this_machine_gets_nothing(client: SiteClient) -> None:
    for path in ("/fields", "/api/v1/fields", "/-/healthy"):
        got = await client.get(path, Host="rebound.example.com", **BEARER)
        assert got.status == 421
        assert "web.allowed_hosts" in got.text
    assert (await client.get("/fields", Host="NAS.lan:8080", **BEARER)).status == 200


async def test_another_sites_page_may_link_here_and_cannot_embed_anything(client: SiteClient) -> None:
    cross = {"Sec-Fetch-Site": "cross-site", **BEARER}
    assert (await client.get("/fields", **cross, **{"Sec-Fetch-Mode": "navigate"})).status == 200
    for mode in ("no-cors", "cors", "websocket"):
        assert (await client.get("/api/v1/fields", **cross, **{"Sec-Fetch-Mode": mode})).status == 403


async def test_every_answer_of_a_site_is_closed_to_others(client: SiteClient) -> None:
    for path in ("/fields", "/api/v1/fields", "/api/v1/nothing", "/as-of/x/fields", QUERY, "/-/healthy"):
        for headers in (BEARER, {}):
            got = (await client.get(path, **headers)).headers
            assert got["X-Content-Type-Options"] == "nosniff"
            assert got["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in got["Content-Security-Policy"]
            assert "unsafe" not in got["Content-Security-Policy"]
            assert "Access-Control-Allow-Origin" not in got


async def test_without_a_token_set_none_is_asked_for(tmp_path: Path) -> None:
    async with served(tmp_path / "none.db") as client:
        assert (await client.get("/api/v1/fields")).status == 200
        assert (await client.get(f"{QUERY}&apikey=demo")).status == 200
