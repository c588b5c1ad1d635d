"""Renames: writes the configured changes of symbols, and which company had which symbol when, for all questions."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.renames import Rename, find_cycle, spans
from pipeline.model.symbols import Symbol
from pipeline.store.universe import is_gone
from pipeline.store.writer import Writer


async def record_renames(writer: Writer, configuration: str, renames: Iterable[Rename]) -> None:
    """Store that a configuration has these renames and no others. Only what has changed is written.

    The renames of other configurations stay, unless they contradict these (another rename of the same symbol, or a
    cycle) or their configuration's file is gone. A configuration without a file, as that of an import into a copy of
    the database, removes none for that reason. Raise StorageError.
    """
    await writer.write(_record, _Configured(configuration, tuple(renames)))


class _Configured(NamedTuple):
    configuration: str
    renames: tuple[Rename, ...]


async def _record(db: Connection, configured: Sequence[_Configured]) -> Sequence[None]:
    for configuration, renames in configured:
        before = [
            (Rename(Symbol(old), Symbol(new), None if at is None else instants.from_text(at), bool(reused)), owner)
            for old, new, at, reused, owner in await db.execute_fetchall(
                "SELECT symbol, renamed_to, at, reused, configuration FROM renames ORDER BY symbol"
            )
        ]
        after = [(one, configuration) for one in sorted(renames, key=lambda one: one.old)]
        for one, owner in before:
            is_forgotten = owner == configuration or (bool(configuration) and is_gone(owner))
            if not is_forgotten and _agrees(one, [known for known, _ in after]):
                after.append((one, owner))
        if sorted(after, key=lambda kept: kept[0].old) != before:
            await _replace(db, after)
    return [None] * len(configured)


def _agrees(one: Rename, others: Sequence[Rename]) -> bool:
    return all(other.old != one.old for other in others) and find_cycle([*others, one]) is None


async def _replace(db: Connection, renames: Sequence[tuple[Rename, str]]) -> None:
    await db.execute("DELETE FROM renames")
    await db.executemany(
        "INSERT INTO renames (symbol, renamed_to, at, reused, configuration) VALUES (?, ?, ?, ?, ?)",
        [
            (one.old, one.new, None if one.on is None else instants.to_text(one.on), one.reused, configuration)
            for one, configuration in renames
        ],
    )
    await db.execute("DELETE FROM spans")
    await db.executemany(
        "INSERT INTO spans (symbol, company, since, until) VALUES (?, ?, ?, ?)",
        spans(one for one, _ in renames),
    )
