"""Spoiling: ways to damage a record, as disks, programs and people do it. Each returns what it did, in a few words."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pipeline.store.parts import PARTS
from tests.support.bad_bytes import SPOILERS
from tests.support.damaged import untyped
from tests.torture.damage.records import DATABASE

_PAGE = 4096
_SUFFIXES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done to a record."""

    kind: str
    what: str
    spares: str | None = None
    """A symbol of which nothing was damaged, so that all of it can still be had; None where that is not known."""
    lacks_parts: bool = False
    """Whether all that was done is that rows are gone which snapshots need: of what they refer to, or of `symbols`."""


Spoil = Callable[[Path, Random], Damage]


def spoil(folder: Path, random: Random) -> Damage:
    """Damage the record in a folder, which is a copy, in one of all ways, or in a few at once."""
    done: list[Damage] = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if any("FIFO" in one.what for one in done):
            break  # to open it again would be to wait for ever
        kind = random.choice(KINDS)
        try:
            done.append(kind(folder, random))
        except (sqlite3.Error, OSError, IndexError, UnicodeDecodeError) as error:  # absent, or damaged before
            done.append(Damage(kind.__name__, f"as far as possible ({error})"))
    if len(done) == 1:
        return done[0]
    return Damage(" and ".join(one.kind for one in done), "; ".join(one.what for one in done))


# The bytes of SQLite's files


def _bytes_of(folder: Path, random: Random) -> tuple[Path, bytearray]:
    files = [file for suffix in _SUFFIXES if (file := folder / f"{DATABASE}{suffix}").is_file() and file.stat().st_size]
    file = random.choice(files) if files else folder / DATABASE
    return file, bytearray(file.read_bytes() if file.is_file() else b"")


def random_bytes(folder: Path, random: Random) -> Damage:
    """Overwrite bytes, scattered or in a row."""
    file, content = _bytes_of(folder, random)
    number, length = random.choice(((1, 1), (1, 8), (30, 1), (3, 600), (300, 4)))
    places = [random.randrange(len(content) + 1) for _ in range(number)]
    for place in places:
        content[place : place + length] = random.randbytes(length)
    file.write_bytes(content)
    return Damage("bytes", f"{file.name}: {length} bytes at {places[:5]}")


def flipped_bits(folder: Path, random: Random) -> Damage:
    """Flip bits, as memory and cables do."""
    file, content = _bytes_of(folder, random)
    places = [random.randrange(len(content)) for _ in range(random.choice((1, 2, 20)))] if content else []
    for place in places:
        content[place] ^= 1 << random.randrange(8)
    file.write_bytes(content)
    return Damage("bits", f"{file.name}: bits of {places[:5]}")


_HEADER = (
    (0, 16), (16, 2), (18, 1), (19, 1), (20, 1), (21, 1), (24, 4), (28, 4), (32, 4), (36, 4), (40, 4), (44, 4), (48, 4),
    (52, 4), (56, 4), (60, 4), (64, 4), (68, 4), (92, 4), (96, 4), (100, 1), (101, 2), (103, 2), (105, 2), (107, 1),
    (108, 4),
)  # fmt: skip
"""Where the fields of the file's header begin, and of the first page's, and how long they are."""


def header(folder: Path, random: Random) -> Damage:
    """Change a field of the header of the database, or of the header of its first page."""
    file = folder / DATABASE
    content = bytearray(file.read_bytes())
    at, size = random.choice(_HEADER)
    value = random.choice(
        (b"\0" * size, b"\xff" * size, random.randbytes(size), random.randrange(5).to_bytes(size, "big"))
    )
    content[at : at + size] = value
    file.write_bytes(content)
    return Damage("header", f"bytes {at} to {at + size} are {value.hex()}")


def pages(folder: Path, random: Random) -> Damage:
    """Zero, fill, repeat or swap whole pages."""
    file, content = _bytes_of(folder, random)
    count = len(content) // _PAGE
    if count < 2:
        return random_bytes(folder, random)
    how = random.choice(("zeroed", "random", "repeated", "swapped", "of ones"))
    done = []
    for _ in range(random.choice((1, 1, 2, count // 2))):
        one, other = (random.randrange(count) * _PAGE for _ in range(2))
        first, second = content[one : one + _PAGE], content[other : other + _PAGE]
        fill = {"zeroed": bytes(_PAGE), "random": random.randbytes(_PAGE), "of ones": b"\xff" * _PAGE}
        content[one : one + _PAGE] = fill.get(how, second)
        if how == "swapped":
            content[other : other + _PAGE] = first
        done.append((one // _PAGE, other // _PAGE))
    file.write_bytes(content)
    return Damage("pages", f"{file.name}: {how} {done[:5]}")


def length(folder: Path, random: Random) -> Damage:
    """Cut a file off, or lengthen it."""
    file, content = _bytes_of(folder, random)
    size = random.choice(
        (0, 1, 50, 99, 100, 511, _PAGE, random.randrange(len(content) + 1), len(content) // _PAGE // 2 * _PAGE)
    )
    more = random.random() < 0.2
    file.write_bytes(content + random.randbytes(size) if more else content[:size])
    return Damage("length", f"{file.name}: {'and' if more else 'only'} {size} bytes")


def files_of_others(folder: Path, random: Random) -> Damage:
    """Put something else where a file of SQLite is."""
    file = folder / f"{DATABASE}{random.choice(_SUFFIXES)}"
    what = random.choice(("folder", "text", "link to itself", "link to nothing", "unreadable", "read-only", "FIFO"))
    _put(file, what, random)
    return Damage("files", f"{file.name} is a {what}")


# What the columns hold

_INSTANTS = (
    "2026-02-30T00:00:00.000Z", "2026-03-14", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z",
    "2026-03-14T18:30:00.000", "0000-00-00T00:00:00.000Z", "99999-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000Z",
    "2026-03-15T00:00:00.000+23:59",
)  # fmt: skip
_TEXTS = (
    "", "x", "IBM", "a\0b", "\x1b[31mred\x07", "\u202e", "\uffff", "-", "None", "=1+1", "A" * 1_000_000, "NaN",
    "é" * 300, "\n\n\n", "-1", "1e999", "9" * 400,
)  # fmt: skip
_NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1.5, -0.0, 1e308, float("inf"), float("-inf"))
_BLOBS = (b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"x" * 300)


def _value(random: Random) -> tuple[str, object]:
    """Return an SQL expression for a value that a column is not made for, and its parameter."""
    match random.randrange(6):
        case 0:
            return "?", None
        case 1:
            return "CAST(? AS TEXT)", random.choice((*_BLOBS, *SPOILERS))
        case 2:
            return "?", random.choice(_BLOBS)
        case 3:
            return "?", random.choice(_NUMBERS)
        case 4:
            return "?", random.choice(_INSTANTS)
        case _:
            return "?", random.choice(_TEXTS)


def _tables(db: sqlite3.Connection) -> Sequence[str]:
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [name for (name,) in found]


_COPIED_BY_A_MIGRATION = 1
"""The version of the schema whose tables the next migration copies: it takes no value that does not belong there."""


def columns(folder: Path, random: Random) -> Damage:
    """Put what does not belong there into columns, in spite of all types and constraints."""
    with untyped(folder / DATABASE) as db:
        done = []
        table = random.choice(_weighted(_tables(db)))
        (version,) = db.execute("PRAGMA user_version").fetchone()
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        spares = None
        for name in random.sample(names, min(len(names), random.choice((1, 1, 2, 4)))):
            expression, value = _value(random)
            where, spares = _where(names, random)
            changed = db.execute(
                f'UPDATE OR IGNORE {table} SET "{name}" = {expression} WHERE {where}', (value,)
            ).rowcount
            done.append(f"{table}.{name} = {expression} of {value!r:.60} where {where} ({changed})")
    is_apart = (
        table in ("snapshots", "looks", "uncovered")
        and version > _COPIED_BY_A_MIGRATION
        and len(done) == 1
        and "symbol" not in done[0].partition("=")[0]
    )
    return Damage("columns", "; ".join(done), spares if is_apart else None)


_READ = frozenset(
    (
        "observed_at", "reconfirmed_at", "at", "last_look", "last_try", "next_try", "last_overview", "since", "until",
        "started_at", "finished_at", "scheduled_for", "reserved_at", "deadline_at", "latest_quarter", "extra", "keys",
        "status", "outcome", "trigger", "state", "schedule", "after",
    )
)  # fmt: skip
"""Columns whose texts are read: as instants, as JSON, as one of some words."""


def texts(folder: Path, random: Random) -> Damage:
    """Put texts that cannot be read into columns of texts: no check of SQLite's finds them."""
    with untyped(folder / DATABASE) as db:
        columns = [(table, row[1]) for table in _tables(db) for row in db.execute(f"PRAGMA table_info({table})")]
        table, name = random.choice([one for one in columns if one[1] in _READ])
        text = random.choice((*_INSTANTS, *_TEXTS, *(one.decode(errors="replace") for one in SPOILERS)))
        where, _ = _where([column for owner, column in columns if owner == table], random)
        changed = db.execute(f"UPDATE OR IGNORE {table} SET {name} = ? WHERE {where}", (text,)).rowcount
    return Damage("texts", f"{table}.{name} = {text!r:.60} where {where} ({changed})")


def _weighted(tables: Sequence[str]) -> Sequence[str]:
    """Return the tables, those more often that most is read from."""
    return [
        table for table in tables for _ in range(4 if table in ("snapshots", "symbols", "runs", "statements") else 1)
    ]


def _where(names: Sequence[str], random: Random) -> tuple[str, str | None]:
    """Return which rows, and a symbol that is not among them."""
    if "symbol" in names and random.random() < 0.5:
        damaged, spared = random.sample(("AAPL", "IBM", "MSFT"), 2)
        return f"symbol = '{damaged}'", spared
    return random.choice(("true", "random() % 2", "random() % 10 = 0")), None


def rows(folder: Path, random: Random) -> Damage:
    """Remove rows, or all of a table."""
    with _opened(folder) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        table = random.choice(_tables(db))
        where = random.choice(("true", "random() % 2", "random() % 10 = 0"))
        gone = db.execute(f"DELETE FROM {table} WHERE {where}").rowcount
    return Damage("rows", f"{gone} of {table}", lacks_parts=table in (*PARTS, "symbols"))


def schema(folder: Path, random: Random) -> Damage:
    """Remove or replace tables, columns, views and indexes, or change what the schema says of them."""
    with _opened(folder) as db:
        kind, name, table, sql = random.choice(
            db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        )
        how = random.choice(
            ("dropped", "a view in its place", "a table in its place", "other SQL", "one column less", "renamed")
        )
        if how == "other SQL":
            db.execute("PRAGMA writable_schema = ON")
            new = _spoilt_text(sql, random)
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (new, name))
            return Damage("schema", f"{name}: {new!r:.200}")
        if how == "renamed" and kind == "table":
            db.execute(f"ALTER TABLE {name} RENAME TO other")
        elif how == "one column less" and kind == "table":
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            db.execute(f'ALTER TABLE {table} DROP COLUMN "{random.choice(columns)}"')
        else:
            db.execute(f"DROP {kind} {name}")
        if how == "a view in its place":
            db.execute(f"CREATE VIEW {name} AS SELECT 1 AS symbol, 'x' AS observed_at, NULL AS field")
        if how == "a table in its place":
            db.execute(f"CREATE TABLE {name} (symbol, observed_at, version, checksum, field, id)")
    return Damage("schema", f"{kind} {name}: {how}")


def version(folder: Path, random: Random) -> Damage:
    """Claim to be another version, another program's, or made by other migrations."""
    with _opened(folder) as db:
        number = random.choice((0, 1, 12, 18, 19, 20, 999, -1, 2**31 - 1))
        under_way = f"SELECT {number} AS version, 'x' AS checksum, 'x' AS step, 0 AS after, 1 AS done, NULL AS total"
        what = random.choice(
            (
                f"PRAGMA user_version = {number}",
                f"PRAGMA application_id = {number}",
                f"UPDATE migrations SET checksum = 'x' WHERE version = {number}",
                f"DELETE FROM migrations WHERE version = {number}",
                "CREATE TABLE migration_under_way (version, checksum, step, after, done, total)",
                f"CREATE TABLE migration_under_way AS {under_way}",
            )
        )
        db.execute(what)
    return Damage("version", what)


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None, timeout=1)) as db:
        yield db


# Files beside the database, and the configuration

_BESIDE = (
    ".record",
    ".lock",
    ".daemon.lock",
    ".heartbeat.json",
    ".told.json",
    ".told.json.broken",
    "-wal",
    "-shm",
    "-journal",
    ".partial",
)


def files_beside(folder: Path, random: Random) -> Damage:
    """Damage what the program keeps beside the database."""
    file = folder / f"{DATABASE}{random.choice(_BESIDE)}"
    what = random.choice(
        (
            "spoilt",
            "spoilt",
            "spoilt",
            "spoilt",
            "folder",
            "FIFO",
            "text",
            "link to itself",
            "link to nothing",
            "unreadable",
            "read-only",
            "missing",
        )
    )
    _put(file, what, random)
    return Damage("beside", f"{file.name} is {what}")


def configuration(folder: Path, random: Random) -> Damage:
    """Damage the configuration, or what it names."""
    file = folder / random.choice(("config/pipeline.toml", "config/pipeline.toml", "symbols.txt", ".env"))
    if not file.exists():
        file.write_text("ALPHAVANTAGE_API_KEY=S3CR3TK3YOFOURS1\nPIPELINE_PING_URL=https://hc.example/x\n")
    what = random.choice(
        ("spoilt", "spoilt", "spoilt", "spoilt", "folder", "text", "link to itself", "unreadable", "missing")
    )
    _put(file, what, random)
    return Damage("configuration", f"{file.name} is {what}: {_shown(file)}")


def given_files(folder: Path, random: Random) -> Damage:
    """Damage the files that commands are given."""
    file = folder / random.choice(("rows.csv", "more.jsonl", "instants.txt", "good.db"))
    if file.suffix == ".db":
        content = bytearray(file.read_bytes())
        for _ in range(random.choice((1, 20))):
            content[random.randrange(len(content))] = random.randrange(256)
        file.write_bytes(content)
        return Damage("given", f"{file.name}: bytes")
    what = random.choice(("spoilt", "spoilt", "folder", "missing"))
    _put(file, what, random)
    return Damage("given", f"{file.name} is {what}: {_shown(file)}")


def _shown(file: Path) -> str:
    return f"{file.read_bytes()!r:.300}" if file.is_file() else ""


def _put(file: Path, what: str, random: Random) -> None:
    """Put something in a file's place, or change what is in it."""
    content = file.read_bytes() if file.is_file() else b""
    if what in ("unreadable", "read-only"):
        file.touch()
        file.chmod(0 if what == "unreadable" else 0o400)
        return
    if what == "spoilt":
        file.write_bytes(_spoilt(content, random))
        return
    if file.is_dir():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)
    if what == "folder":
        file.mkdir()
    elif what == "FIFO":
        os.mkfifo(file)
    elif what == "text":
        file.write_bytes(random.choice(SPOILERS))
    elif what.startswith("link"):
        file.symlink_to(file.name if what == "link to itself" else "nothing")


def _spoilt(content: bytes, random: Random) -> bytes:
    """Return a text with a part of it replaced, or cut off."""
    ends = [place + 1 for place, byte in enumerate(content) if byte in b',:[]{}"= \n'] or [0]
    start, stop = sorted(
        random.choice(ends) if random.random() < 0.8 else random.randrange(len(content) + 1) for _ in "12"
    )
    if random.random() < 0.2:
        return content[:start]
    return content[:start] + random.choice(SPOILERS) + content[stop:]


def _spoilt_text(text: str, random: Random) -> str:
    return _spoilt(text.encode(), random).decode(errors="replace")


KINDS: Sequence[Spoil] = (
    random_bytes, flipped_bits, header, pages, length, files_of_others, columns, columns, columns, texts, texts, rows,
    schema, schema, version, files_beside, files_beside, configuration, given_files,
)  # fmt: skip
