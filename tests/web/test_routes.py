"""Routes: each path is there twice, and no address leads beyond the lock."""

from datetime import UTC, datetime
from pathlib import Path

from tests.support.site import served

LOCK = datetime(2026, 3, 14, tzinfo=UTC)


async def test_each_path_is_there_at_an_instant_too(tmp_path: Path) -> None:
    async with served(tmp_path / "none.db") as client:
        now, then = await client.get("/api/v1/fields"), await client.get("/as-of/2026-03-14/api/v1/fields")
    assert now.status == then.status == 200
    assert now.body == then.body


async def test_an_instant_that_is_invalid_or_after_the_lock_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path / "none.db", lock=LOCK) as client:
        for instant, status in (
            ("2026-13-01", 400),
            ("2026-03-15", 403),
            ("2026-03-14", 200),
            ("2026-03-13", 200),
            ("now", 200),
        ):
            got = await client.get(f"/as-of/{instant}/api/v1/fields")
            assert got.status == status, instant
            if status != 200:
                assert got.headers["Content-Type"] == "application/problem+json"


async def test_an_answer_that_the_client_has_is_not_sent_again(tmp_path: Path) -> None:
    async with served(tmp_path / "none.db") as client:
        first = await client.get("/api/v1/fields")
        again = await client.get("/api/v1/fields", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert first.headers["Cache-Control"] == "no-cache"
