"""Silent flips: a bit of a record changes on the disk. Whatever answer that changes, the deep check says so.

An answer that ends with an error is not silent. Flips that change no answer (free space, copies in an index) need not
be found. The check itself has to end with findings, whatever the file holds.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

from pipeline.doctor.database import check_database
from pipeline.doctor.findings import Level
from pipeline.errors import Trouble
from pipeline.model.fields import ALL
from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol
from pipeline.query.history import History
from pipeline.store.database import connect
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from pipeline.store.renames import record_renames
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.database import documents, snapshots
from tests.support.observations import Observed, seen, store_observations, uncovered
from tests.torture.trial import Bout, Mutant, Trial

_SYMBOLS = ("BRK-B", "FB", "IBM", "META")
_HOURS = 60
_INSTANTS = 12
_END = START + timedelta(hours=_HOURS + 1)
_BYTES_OF_HEADER = 100
_TABLES = ("snapshots", "profiles", "statements", "layouts", "looks", "uncovered", "symbols", "spans", "fields")
_OF_SNAPSHOTS, _OF_PARTS = 8, 2
"""How many times as often those are flipped: they are most of a record."""
_LEAVES, _INNER = {10, 13}, {2, 5}
"""Kinds of pages, of indexes and of tables."""


def make_record(path: Path, random: Random) -> None:
    """Make a record of some symbols with shared and changing parts, confirmations, gaps and a rename."""
    migrate(path, now=START)
    observed = [one for symbol in _SYMBOLS for one in _observed(symbol, random)]
    asyncio.run(_store(path, observed))
    with connect(path, "rw") as db:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")


async def _store(path: Path, observed: list[Observed]) -> None:
    await store_observations(path, observed)
    async with open_writer(path) as writer:
        await record_renames(writer, "", [Rename(Symbol("FB"), Symbol("META"), START + timedelta(hours=30))])


def _observed(symbol: str, random: Random) -> Iterator[Observed]:
    eps, ebitda, extra = 1.0, 1_000, "a"
    for number in range(_HOURS):
        hour = number + random.random() / 2  # to the millisecond: no flip makes another observation of one
        match random.randrange(8):
            case 0:
                yield uncovered(hour + 0.25, symbol)
            case 1:
                ebitda += random.randrange(1_000)
            case 2:
                extra = random.choice("abc")
            case 3 | 4 | 5:
                eps = random.randrange(1, 10_000) / 100
        document = {"EPS": str(eps), "EBITDA": str(ebitda), "Name": f"{symbol} Inc", "Beta": "1.25", "New": extra}
        yield seen(hour, symbol, **document)


def answers(path: Path, instants: list[str]) -> list[str]:
    """Return what a record answers about documents, instants and symbols. Raise where it cannot."""
    given = []
    with Reader.open(path) as reader:
        given += sorted(map(repr, reader.symbol_states().values()))
    for symbol in _SYMBOLS:
        given += [repr(snapshots(path, symbol)), json.dumps(documents(path, symbol))]
    with History.open(path) as history:
        for at in instants:
            given += [repr([*history.as_of(at, fields=ALL)]), json.dumps([*history.documents_as_of(at)])]
    return given


def _rows_in(path: Path, content: bytes) -> list[list[range]]:
    """Return where the rows of each table are in a file: what is filled of each of its last pages."""
    with connect(path, "ro") as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        roots = [db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (one,)).fetchone() for one in _TABLES]
    return [list(_filled(content, size, root)) for (root,) in roots]


def _filled(content: bytes, size: int, number: int) -> Iterator[range]:
    """Yield the filled stretch of each leaf of a tree."""
    page = content[(number - 1) * size : number * size]
    kind, cells = page[0], int.from_bytes(page[3:5])
    if kind in _LEAVES:
        yield range((number - 1) * size + int.from_bytes(page[5:7]), number * size)
    elif kind in _INNER:
        pointers = [int.from_bytes(page[place : place + 2]) for place in range(12, 12 + 2 * cells, 2)]
        for place in (*pointers, 8):
            yield from _filled(content, size, int.from_bytes(page[place : place + 4]))


def _instants(path: Path, random: Random) -> list[str]:
    with connect(path, "ro") as db:
        every = [at for (at,) in db.execute("SELECT observed_at FROM snapshots UNION SELECT at FROM looks ORDER BY 1")]
    return [*random.sample(every, _INSTANTS), _END.isoformat()]


def problems(path: Path) -> list[str]:
    """Return what the deep check finds, of the problems."""
    found = check_database(
        path, now=_END, thorough=True, backup_after=timedelta(days=1), renames=(), symbols=(),
        on_deep=lambda _done, _total: None,
    )  # fmt: skip
    return [one.found for one in found if one.level is Level.PROBLEM]


def run(bout: Bout) -> None:
    """Flip one bit after another, each in a copy of its own."""
    record = bout.folder / "record.db"
    make_record(record, bout.random)
    instants = _instants(record, bout.random)
    whole, content = answers(record, instants), record.read_bytes()
    if accused := problems(record):
        bout.broken(f"a sound record is accused: {accused[0]}")
    anywhere, tables = range(_BYTES_OF_HEADER, len(content)), _rows_in(record, content)
    number = 0
    while bout.goes_on():
        number += 1
        where = bout.random.choice(
            bout.random.choice([[anywhere], *tables[:1] * _OF_SNAPSHOTS, *tables[1:4] * _OF_PARTS, *tables])
        )
        place, bit = bout.random.choice(where), bout.random.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        path = bout.folder / f"flipped-{number}.db"
        path.write_bytes(flipped)
        _judge(bout, path, f"bit {bit} of byte {place}, seed {bout.seed}", whole, instants)
        path.unlink()


def _judge(bout: Bout, path: Path, what: str, whole: list[str], instants: list[str]) -> None:
    bout.count("flipped bits")
    try:
        found = problems(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, a person would see its traceback
        bout.broken(f"{what}: the check ended with {type(error).__name__}: {str(error)[:100]}")
        return
    try:
        is_changed = answers(path, instants) != whole
    except (Trouble, sqlite3.Error, ValueError, KeyError, TypeError):
        bout.count("flips that end a question")
        return
    if is_changed:
        bout.count("flips that change an answer")
        if not found:
            bout.broken(f"{what} changes an answer, and is not found")


TRIAL = Trial(
    name="silent flips",
    promise="a bit that flips on the disk and changes an answer is found by doctor --deep",
    run=run,
    short_attempts=60,
    mutants=(
        Mutant(
            "checksums are not compared",
            "pipeline/audit/observed_rows.py",
            "        elif known != self._checksum(",
            "        elif None is self._checksum(",
        ),
        Mutant(
            "digests are not computed again",
            "pipeline/audit/part_digests.py",
            "        return digest(values) == known",
            "        return digest(values) is not None",
        ),
        Mutant(
            "the values of a snapshot are not in its checksum",
            "pipeline/model/checksums.py",
            "msgspec.msgpack.encode((*others, values, extra))",
            "msgspec.msgpack.encode((*others, extra))",
        ),
    ),
)
