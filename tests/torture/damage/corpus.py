"""The corpus: damages that something has failed at once. Each bout begins with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.damaged import untyped
from tests.torture.damage.records import DATABASE
from tests.torture.damage.spoiling import Damage

_DEEP = "[" * 20_000


class Case(NamedTuple):
    """A record, what is done to it, and what is asked then."""

    record: str
    sql: str
    """What is changed in the database, in spite of all types and constraints; empty for nothing."""
    beside: tuple[str, str] | None
    """The suffix of a file beside the database, and what is written into it."""
    questions: Sequence[tuple[str, ...]]
    spares: str | None = None
    lacks_parts: bool = False
    """As in `Damage`."""

    def damage(self, folder: Path) -> Damage:
        """Damage a copy of the record."""
        if self.sql:
            with untyped(folder / DATABASE) as db:
                db.executescript(self.sql)
        if self.beside is not None:
            suffix, content = self.beside
            (folder / f"{DATABASE}{suffix}").write_text(content)
        what = self.sql or f"{self.beside or 'nothing'!r:.60}"
        return Damage("corpus", what, self.spares, lacks_parts=self.lacks_parts)


_STATUS = (("status",), ("health",), ("status", "--json"))
_ORIGINAL = (("as-of", "2026-03-20", "--original"), ("export", "--original", "--output", "-"))
_VIEW = (
    "CREATE TABLE kept AS SELECT * FROM snapshots; DROP TABLE snapshots; "
    "CREATE VIEW snapshots AS SELECT * FROM kept WHERE observed_at > '2026-03-20'"
)
CORPUS: Sequence[Case] = (
    Case("current", "UPDATE symbols SET snapshots = x'00'", None, _STATUS),
    Case(
        "current",
        "UPDATE snapshots SET pe_ratio = 'high' || observed_at",
        None,
        (("changes", "--suspicious"), ("@history", "1")),
    ),
    Case(
        "current",
        "UPDATE runs SET started_at = '2026-02-30T00:00:00.000Z'",
        None,
        (*_STATUS, ("plan",), ("@serve", "1")),
    ),
    Case("current", "UPDATE symbols SET last_look = 'never'", None, (*_STATUS, ("plan",))),
    Case("current", f"UPDATE snapshots SET extra = '{_DEEP}'", None, _ORIGINAL),
    Case("current", "DELETE FROM statements", None, (("vintages", "IBM"), ("@mcp", "1")), lacks_parts=True),
    Case("current", "DELETE FROM symbols", None, (("as-of", "2026-03-20"), ("@mcp", "1")), lacks_parts=True),
    Case("of schema 11", "UPDATE snapshots SET eps = x'eda080' WHERE symbol = 'IBM'", None, _STATUS, spares="AAPL"),
    Case("current", _VIEW, None, (("history", "IBM"), ("doctor",)), lacks_parts=True),
    Case("current", "DROP TABLE renames", None, (("import", "more.jsonl", "--wait", "0"),)),
    Case("of schema 7", "DELETE FROM snapshots", None, (("history", "IBM"), ("panel", "pe_ratio"))),
    Case("current", "", (".heartbeat.json", _DEEP), _STATUS),
    Case("current", "", (".heartbeat.json", '{"pid": "x"}'), _STATUS),
    Case("current", "", (".record", "{"), (("import", "more.jsonl", "--wait", "0"), ("doctor",))),
    Case("in WAL", "", None, (("status",), ("history", "IBM"), ("doctor",))),
)
