"""How soon does a record of millions of snapshots answer, and how does that grow?"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from benchmarks.processes import measured, tell
from benchmarks.report import Line, ratio
from pipeline.store.migrate import shipped_migrations

QUESTION = "History: questions asked before, in milliseconds, the median of nine; the targets are for 10 million"
DAYS = 1_000
_SMALL, _LARGE = 1_000, 10_000
"""Companies."""
_COMPARED = 200
"""Companies whose snapshots are kept as rows of JSON too: four kilobytes each."""
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class _Question:
    """One of the figures that `benchmarks.asking` takes."""

    figure: str
    what: str
    target: str
    rows: str


_QUESTIONS = (
    _Question("history", "history of one field, one symbol", "≤ 5 ms", "history_rows"),
    _Question("as_of", "as-of, all symbols, three fields: tuples", "≤ 150 ms", "as_of_rows"),
    _Question("as_of_objects", "  the same, as objects", "≤ 150 ms", "as_of_rows"),
    _Question("as_of_weekend", "  of a weekend, later confirmed: tuples", "≤ 150 ms", "as_of_rows"),
    _Question("changes", "changes of a day, all symbols", "≤ 300 ms", "changes_rows"),
    _Question("latest", "SQL: latest_overviews of a sector", "≤ 150 ms", "latest_rows"),
)


def measure(*, large: bool, folder: Path | None) -> list[Line]:
    """Return how long a record of a million snapshots needs for questions; if `large`, one of ten million too.

    The records are kept in `folder`, and found there again; without one they are made for this run alone.
    """
    with _in(folder) as place:
        small, few = _asked(place, _SMALL)
        lines = [*small, *_compared(place)]
        if large:
            lines += _grown(_asked(place, _LARGE), few)
        else:
            lines.append(Line("10 million snapshots", "-", "", "python -m benchmarks history --large: 4 GB, 6 minutes"))
    return lines


@contextmanager
def _in(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
    else:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made).resolve()


Figures = dict[str, float]


def _asked(place: Path, companies: int) -> tuple[list[Line], Figures]:
    """Return the lines of a record of so many companies, and the figures they show."""
    database, snapshots = _database(place, companies), companies * DAYS
    made = _made(database, companies)
    tell(f"history: questions to {snapshots:,} snapshots")
    figures: Figures = measured("benchmarks.asking", str(database), patience=_PATIENCE)
    tell(f"history: {snapshots:,} snapshots to Parquet")
    exported = measured("benchmarks.exporting", str(database), patience=_PATIENCE)
    rate = exported["rows"] / exported["seconds"]
    lines = [
        Line(f"{snapshots:,} snapshots", f"{database.stat().st_size / 1e6:,.0f} MB", "", made),
        *(
            Line(f"  {one.what}", f"{figures[one.figure]:.1f} ms", one.target, f"{figures[one.rows]:,} rows")
            for one in _QUESTIONS
        ),
        Line(
            "  all to Parquet",
            f"{rate:,.0f} rows/s",
            "≥ 100,000",
            f"{exported['seconds']:.0f} s, {exported['bytes'] / 1e6:,.0f} MB",
            is_broken=exported["rows"] != snapshots,
        ),
        Line("    its peak memory", f"{exported['peak_megabytes']:.0f} MB", "≤ 300 MB"),
    ]
    return lines, figures | {"export": exported["seconds"]}


def _made(database: Path, companies: int) -> str:
    """Make a record where there is none yet, and return how that went."""
    if database.exists():
        return f"{companies:,} companies, {DAYS:,} each; made before"
    tell(f"history: making {companies * DAYS:,} snapshots")
    partial = database.with_suffix(".partial")
    made = measured("benchmarks.record", str(partial), str(companies), str(DAYS), patience=_PATIENCE)
    partial.rename(database)
    return f"{companies:,} companies, {DAYS:,} each, and {made['looks']:,} looks; made in {made['seconds']:.0f} s"


def _database(place: Path, companies: int) -> Path:
    """Return where a record of so many companies is, or will be: one of another schema would be refused."""
    schema = "".join(migration.checksum for migration in shipped_migrations())
    return place / f"{companies}x{DAYS}-{sha256(schema.encode()).hexdigest()[:8]}.db"


def _grown(answer: tuple[Sequence[Line], Figures], few: Figures) -> list[Line]:
    """Return the lines of the large record, and by how much each figure is that of the small one."""
    lines, many = answer
    growth = [f"{many[name] / few[name]:.1f} {what}" for name, what in _GROWTH.items()]
    return [*lines, Line("  against a million, with a tenth of the symbols", "", "", f"{', '.join(growth)} times")]


_GROWTH = {
    "history": "history",
    "as_of": "as-of",
    "changes": "changes",
    "latest": "latest",
    "export": "export",
}


def _compared(place: Path) -> list[Line]:
    """Return what rows of JSON take and need for the same questions, as multiples of ours."""
    tell(f"history: rows of JSON, {_COMPARED} companies")
    database = _database(place, _SMALL)
    raw = measured("benchmarks.asking", str(database), "--compare", str(_COMPARED), patience=_PATIENCE)
    ours_bytes, raw_bytes = database.stat().st_size / (_SMALL * DAYS), raw["bytes_raw"] / raw["snapshots"]

    def line(what: str, asked: str, of_ours: str) -> Line:
        made_of = f"{raw[asked]:.1f} ms against {raw[of_ours]:.1f} ms, {_COMPARED} companies asked of both"
        return ratio(what, raw[asked], raw[of_ours], target="", made_of=made_of)

    return [
        ratio(
            "  rows of JSON / ours: bytes a snapshot",
            raw_bytes,
            ours_bytes,
            target="",
            made_of=f"{raw_bytes:,.0f} against {ours_bytes:.0f}, the whole file, looks included",
        ),
        line("    history of one field, json_extract", "history_raw", "history_ours"),
        line("    as-of, GROUP BY symbol", "as_of_raw", "as_of_ours"),
        line("    as-of, symbols given and sought as ours", "as_of_raw_seeking", "as_of_ours"),
    ]
