"""Contents: what a database holds that was acknowledged, read with plain SQL, of any version of the schema."""

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from pipeline.model.slots import NO_SYMBOL

Observation = tuple[str, str, bytes]
"""Symbol, instant, and the digest of all that was observed; of nothing where it was as before."""

_PARTS = ("profiles", "statements", "layouts")
_NOT_OBSERVED = frozenset(
    {"confirmed_at", "reconfirmed_at", "profile_id", "statement_id", "layout_id", "id", "digest", "checksum"}
)


@dataclass(frozen=True, slots=True)
class Contents:
    """The observations of a record, and the requests of its ledger by symbol, some of no symbol that is known."""

    observations: frozenset[Observation] = frozenset()
    requests: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    """Runs that have ended."""

    def lacks(self, requests: Counter[str]) -> Counter[str]:
        """Return the requests that the ledger lacks; those of no symbol may stand for any."""
        missing = requests - self.requests
        return missing if missing.total() > self.requests[NO_SYMBOL] else Counter()

    def of_symbol(self, symbol: str) -> list[Observation]:
        """Return the observations of a symbol, the earliest first."""
        return sorted(one for one in self.observations if one[0] == symbol)


def contents(database: Path) -> Contents:
    """Return what a database holds. Raise sqlite3.Error, and ValueError if it is damaged."""
    with closing(sqlite3.connect(database)) as db:
        damage = [text for (text,) in db.execute("PRAGMA integrity_check(3)")]
        # (Slots that a restore has carried over are of runs that the backup lacks.)
        dangling = [row for row in db.execute("PRAGMA foreign_key_check") if row[0] != "requests"]
        if damage != ["ok"] or dangling:
            raise ValueError(f"damaged: {damage} {dangling[:3]}")
        observed = set(_snapshots(db))
        observed.update((symbol, at, b"") for symbol, at in db.execute("SELECT symbol, at FROM looks"))
        requests = Counter(dict(db.execute("SELECT symbol, count(*) FROM requests GROUP BY symbol")))
        requests[NO_SYMBOL] += _in_flight(db)
        (finished,) = db.execute("SELECT count(*) FROM runs WHERE finished_at IS NOT NULL").fetchone()
    return Contents(frozenset(observed), requests, finished)


def _in_flight(db: sqlite3.Connection) -> int:
    """Return how many requests the next run will take for sent, as they were in flight."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'in_flight'").fetchone():
        return 0
    (requests,) = db.execute("SELECT coalesce(sum(requests), 0) FROM in_flight").fetchone()
    return int(requests)


Made = Contents | bytes | list[tuple[str, "Made"]] | None
"""What a command made besides its database: a copy, a file, a folder of them, nothing yet."""
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")


def made_at(path: Path) -> Made:
    """Return what is at the path of something that a command makes. Raise as `contents` does.

    Of a folder, all that has its final name: equal files whose names differ by a date alone are one.
    """
    if path.is_dir():
        files = [one for one in sorted(path.rglob("*")) if one.is_file() and ".partial" not in one.name]
        found = [(_DATE.sub("DATE", str(one.relative_to(path))), made_at(one)) for one in files]
        return [one for number, one in enumerate(found) if one not in found[:number]]
    if not path.exists():
        return None
    return contents(path) if path.suffix == ".db" else path.read_bytes()


def _snapshots(db: sqlite3.Connection) -> list[Observation]:
    joins = " ".join(f"JOIN {part} ON {part}.id = {part[:-1]}_id" for part in _PARTS)
    cursor = db.execute(f"SELECT * FROM snapshots {joins}")
    names = [name for name, *_ in cursor.description]
    found = []
    for row in cursor:
        values = sorted((name, value) for name, value in zip(names, row, strict=True) if value is not None)
        text = repr([one for one in values if one[0] not in _NOT_OBSERVED])
        found.append((*row[:2], blake2b(text.encode(), digest_size=8).digest()))
    return found
