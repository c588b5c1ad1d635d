"""A follower that writes apart how far it has read loses what it was about to write: and that would be found."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiosqlite import Connection

from pipeline.fleet import follow as module
from pipeline.fleet.pool import open_pool
from pipeline.store.log_entries import Chunk, apply_chunks, set_followed
from tests.support.fleet_log import answer, append, content, follow, reserved
from tests.support.kills import left_at_each_statement

pytestmark = pytest.mark.slow


async def _apply_apart(db: Connection, chunks: Sequence[Chunk]) -> Sequence[None]:
    await set_followed(db, [chunks[-1].upto])
    await db.execute("COMMIT")
    await db.execute("BEGIN IMMEDIATE")
    return await apply_chunks(db, chunks)


@pytest.mark.parametrize("is_mutant", [False, True])
async def test_a_file_that_lacks_what_its_place_says_is_not_that_of_an_undisturbed_follower(
    database: Path, fleet_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_mutant: bool
) -> None:
    async with open_pool(fleet_url) as pool:
        for turn in range(3):
            await append(pool, answer(await reserved(pool, "IBM"), turn, {"Symbol": "IBM", "EPS": str(turn)}))
    if is_mutant:
        monkeypatch.setattr(module, "apply_chunks", _apply_apart)

    async def follow_all(file: Path) -> None:
        async with open_pool(fleet_url) as pool:
            await follow(file, pool)

    left = await asyncio.to_thread(
        left_at_each_statement, database, tmp_path / "left", lambda: asyncio.run(follow_all(database))
    )
    for copy in left:
        await follow_all(copy)

    assert (len({repr(content(copy)) for copy in left}) > 1) == is_mutant
