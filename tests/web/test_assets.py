"""Assets: a browser may keep each for good, as another content has another address."""

from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from pipeline.pages.rendering import ASSETS
from pipeline.web.assets import Assets
from tests.support.site import served


def test_another_content_has_another_address(tmp_path: Path) -> None:
    (tmp_path / "site.css").write_text("a {}")
    (tmp_path / "notes.txt").write_text("not served")
    before = Assets.read(tmp_path)
    (tmp_path / "site.css").write_text("b {}")
    after = Assets.read(tmp_path)

    assert before.address("site.css") != after.address("site.css")
    assert before.address("site.css") == Assets({"site.css": b"a {}"}).address("site.css")


async def test_a_file_may_be_kept_for_good_and_no_other_path_leads_to_one(tmp_path: Path) -> None:
    address = ASSETS.address("site.css")
    async with served(tmp_path / "none.db", lock=datetime(2026, 3, 14, tzinfo=UTC)) as client:
        got = await client.get(address)
        others = [
            await client.get(path)
            for path in ("/static/site.css", "/static/", "/static/..%2frendering.py", f"/as-of/2026-03-01{address}")
        ]
    assert (got.status, got.headers["Content-Type"]) == (HTTPStatus.OK, "text/css; charset=utf-8")
    assert "max-age" in got.headers["Cache-Control"]
    assert got.headers["ETag"]
    assert {other.status for other in others} == {HTTPStatus.NOT_FOUND}
