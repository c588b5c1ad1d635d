"""Paths: whatever is in an address, the answer is one that was meant, and leads nowhere else."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.observations import database_of, seen
from tests.support.site import served


class Answered(NamedTuple):
    """The status and the headers of an answer."""

    status: int
    headers: dict[str, str]
    body: str


@pytest.fixture(scope="module")
def stored() -> Path:
    return database_of([seen(0, PERatio="10", Name="An Example Inc")])


@pytest.fixture
async def port(stored: Path) -> AsyncIterator[int]:
    async with served(stored) as client:
        yield int(client.url.rpartition(":")[2])


async def get(port: int, target: str, version: str = "1.1", *headers: str) -> Answered:
    """Return the answer to a request target that is sent as it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {target} HTTP/{version}", *(headers or ("Host: localhost",)), "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    async with asyncio.timeout(30):
        head, _, body = (await reader.read()).decode("latin-1").partition("\r\n\r\n")
    writer.close()
    first, *fields = head.split("\r\n")
    return Answered(int(first.split()[1]), dict(field.split(": ", 1) for field in fields), body)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/companies/", "/companies"),
        ("/companies/?q=a%20b&q=%2F", "/companies?q=a%20b&q=%2F"),
        ("/as-of/2026-03-14/companies/", "/as-of/2026-03-14/companies"),
        ("http://evil.example/companies/", "/companies"),
    ],
)
async def test_a_slash_at_the_end_leads_to_the_same_path_without(port: int, target: str, location: str) -> None:
    answered = await get(port, target)
    assert (answered.status, answered.headers["Location"]) == (308, location)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/",
        "//evil.example/companies/",
        "/\\evil.example/",
        "/nothing/",
        "/companies//",
        "/Companies",
        "/companies;x=1",
        "/..%2f..%2fetc/passwd",
        "/static/..%2frendering.py",
        "/static/../templates/base.html",
        "/as-of/2026-03-14/as-of/2026-03-13/companies",
        "/as-of/2026-03-14/static/site.css",
        "/as-of/2026-03-14/metrics",
        "/as-of/2026-03-14/-/healthy",
        "/api/v2/fields",
    ],
)
async def test_any_other_path_is_not_found_and_leads_nowhere(port: int, target: str) -> None:
    answered = await get(port, target)
    assert answered.status == 404
    assert "Location" not in answered.headers


@pytest.mark.parametrize(
    "instant", ["", "%20", "x", "2026-13-01", "2026-03-14%2Fx", "..", "%00", "%ff", "9" * 400, "-7d"]
)
async def test_an_instant_that_is_none_is_a_bad_request(port: int, instant: str) -> None:
    assert (await get(port, f"/as-of/{instant}/companies")).status in ((400, 404) if not instant else (400,))


@pytest.mark.parametrize(
    "target",
    [
        f"{path}{query}"
        for path in ("/companies", "/api/v1/as-of", "/query")
        for query in (
            "?q=%00",
            "?q=%ff&q=%zz",
            "?sort=%zz",
            "?" + "q=x&" * 1_500,
            "?=&&==&",
            "?limit=1&limit=2",
            "?\xff",
        )
    ],
)
async def test_no_parameter_is_an_error_of_the_servers(port: int, target: str) -> None:
    assert (await get(port, target)).status in (200, 400)


async def test_an_address_that_is_too_long_is_refused(port: int) -> None:
    assert (await get(port, "/companies?q=" + "x" * 9_000)).status == 400


async def test_a_request_names_one_host_and_only_health_checks_may_name_none(port: int) -> None:
    assert (await get(port, "/-/healthy", "1.0", "User-Agent: probe")).status == 200
    assert (await get(port, "/companies", "1.0", "User-Agent: probe")).status == 400
    assert (await get(port, "/companies", "1.1", "Host: localhost", "Host: evil.example")).status == 400


@pytest.mark.parametrize("target", ["/companies", "/-/healthy", "/nothing"])
async def test_what_a_client_expects_is_not_answered_before_it_is_known_who_it_is(port: int, target: str) -> None:
    for expected in ("100-continue", "x"):
        answered = await get(port, target, "1.1", "Host: evil.example", f"Expect: {expected}")
        assert answered.status == 421


async def test_a_mistake_of_the_program_is_one_line_to_the_client(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.pages.companies.Choice.of", lambda _: 1 / 0)
    answered = await get(port, "/companies?q=secret")
    assert answered.status == 500
    assert "ZeroDivisionError" not in answered.body
    assert "Traceback" not in answered.body


async def test_a_database_that_gets_damaged_is_said_in_one_line(tmp_path: Path, stored: Path) -> None:
    database = Path(shutil.copy(stored, tmp_path / "served.db"))
    async with served(database) as client:
        path = "/api/v1/as-of"
        assert (await client.get(path)).status == 200
        good = database.read_bytes()
        (tmp_path / "damaged.db").write_bytes(good[:100] + b"\xff" * (len(good) - 100))
        (tmp_path / "damaged.db").replace(database)
        got = await client.get(path)
        assert (got.status, "damaged" in got.text) == (503, True)
        assert (await client.get("/-/ready")).status == 503
        assert (await client.get("/-/healthy")).status == 200
        (tmp_path / "restored.db").write_bytes(good)
        (tmp_path / "restored.db").replace(database)
        assert (await client.get(path)).status == 200
