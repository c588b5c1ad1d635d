"""How fast are queries to millions of snapshots, and how does that grow?"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from benchmarks.processes import measured, report_progress
from benchmarks.report import Line, ratio
from pipeline.store.migration_files import shipped_migrations

QUESTION = "History: repeated queries, in milliseconds, the median of nine; the targets are for 10 million"
DAYS = 1_000
_SMALL, _LARGE = 1_000, 10_000
"""Companies."""
_COMPARED = 200
"""Companies whose snapshots are compared with rows of JSON: four kilobytes each."""
_TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class _Query:
    """One of the figures of `benchmarks.queries`."""

    figure: str
    what: str
    target: str
    rows: str


_QUERIES = (
    _Query("history", "history of one field, one symbol", "≤ 5 ms", "history_rows"),
    _Query("as_of", "as-of, all symbols, three fields: tuples", "≤ 150 ms", "as_of_rows"),
    _Query("as_of_objects", "  the same, as objects", "≤ 150 ms", "as_of_rows"),
    _Query("as_of_weekend", "  of a weekend, later confirmed: tuples", "≤ 150 ms", "as_of_rows"),
    _Query("changes", "changes of a day, all symbols", "≤ 350 ms", "changes_rows"),
    _Query("latest", "SQL: latest_overviews of a sector", "≤ 150 ms", "latest_rows"),
    _Query("restatements", "SQL: restatements of 30 days, all symbols", "", "restatements_rows"),
)


def measure(*, large: bool, folder: Path | None) -> list[Line]:
    """Return how long queries to a million snapshots take; if `large`, to ten million too.

    The databases are kept in `folder`, and found there again; without one they are temporary.
    """
    with _in(folder) as place:
        small, few = _queried(place, _SMALL)
        lines = [*small, *_compared(place)]
        if large:
            lines += _grown(_queried(place, _LARGE), few)
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


def _queried(place: Path, companies: int) -> tuple[list[Line], Figures]:
    """Return the lines and the figures of a database of that many companies."""
    database, snapshots = _database(place, companies), companies * DAYS
    generated = _generate(database, companies)
    report_progress(f"history: queries to {snapshots:,} snapshots")
    figures: Figures = measured("benchmarks.queries", str(database), timeout=_TIMEOUT)
    report_progress(f"history: {snapshots:,} snapshots to Parquet")
    exported = measured("benchmarks.exporting", str(database), timeout=_TIMEOUT)
    rate = exported["rows"] / exported["seconds"]
    lines = [
        Line(f"{snapshots:,} snapshots", f"{database.stat().st_size / 1e6:,.0f} MB", "", generated),
        *(
            Line(f"  {one.what}", f"{figures[one.figure]:.1f} ms", one.target, f"{figures[one.rows]:,} rows")
            for one in _QUERIES
        ),
        Line(
            "  all to Parquet",
            f"{rate:,.0f} rows/s",
            "≥ 200,000",
            f"{exported['seconds']:.0f} s, {exported['bytes'] / 1e6:,.0f} MB",
            is_broken=exported["rows"] != snapshots,
        ),
        Line("    its peak memory", f"{exported['peak_megabytes']:.0f} MB", "≤ 300 MB"),
    ]
    return lines, figures | {"export": exported["seconds"]}


def _generate(database: Path, companies: int) -> str:
    """Generate the database if there is none yet, and return how that went."""
    if database.exists():
        return f"{companies:,} companies, {DAYS:,} each; generated before"
    report_progress(f"history: generating {companies * DAYS:,} snapshots")
    partial = database.with_suffix(".partial")
    made = measured("benchmarks.large_database", str(partial), str(companies), str(DAYS), timeout=_TIMEOUT)
    partial.rename(database)
    rows = f"{companies:,} companies, {DAYS:,} each, and {made['observations']:,} observations"
    return f"{rows}; generated in {made['seconds']:.0f} s"


def _database(place: Path, companies: int) -> Path:
    """Return the path of the database of that many companies, by schema: another would be refused."""
    schema = "".join(migration.checksum for migration in shipped_migrations())
    return place / f"{companies}x{DAYS}-{sha256(schema.encode()).hexdigest()[:8]}.db"


def _grown(answer: tuple[Sequence[Line], Figures], few: Figures) -> list[Line]:
    """Return the lines of the large database, and each figure as a multiple of the small one's."""
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
    """Return the size of rows of JSON and the time of the same queries, as multiples of this program's."""
    report_progress(f"history: rows of JSON, {_COMPARED} companies")
    database = _database(place, _SMALL)
    raw = measured("benchmarks.queries", str(database), "--compare", str(_COMPARED), timeout=_TIMEOUT)
    ours_bytes, raw_bytes = database.stat().st_size / (_SMALL * DAYS), raw["bytes_raw"] / raw["snapshots"]

    def line(what: str, raw_figure: str, our_figure: str) -> Line:
        made_of = f"{raw[raw_figure]:.1f} ms against {raw[our_figure]:.1f} ms, {_COMPARED} companies"
        return ratio(what, raw[raw_figure], raw[our_figure], target="", made_of=made_of)

    return [
        ratio(
            "  rows of JSON / ours: bytes a snapshot",
            raw_bytes,
            ours_bytes,
            target="",
            made_of=f"{raw_bytes:,.0f} against {ours_bytes:.0f}, the whole file, including observations",
        ),
        line("    history of one field, json_extract", "history_raw", "history_ours"),
        line("    as-of, GROUP BY symbol", "as_of_raw", "as_of_ours"),
        line("    as-of, a seek for each symbol, as ours", "as_of_raw_seeking", "as_of_ours"),
    ]
