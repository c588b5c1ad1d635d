"""How much room does a version of a company take, against the row of JSON that is usually kept?"""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import measured, tell
from benchmarks.report import Line

COMPANIES, DAYS = 50, 200
PARTS = ("snapshots", "profiles", "statements", "layouts")
QUESTION = (
    f"Storage: bytes a distinct snapshot, {COMPANIES} of the sandbox's companies on {DAYS} days, and a recorded series"
)
_RECORDING = Path(__file__).parents[2] / "shared" / "recordings" / "daily_2023_2025.jsonl.gz"
_NO_DBSTAT = "this build of SQLite lacks dbstat, which would tell"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the same snapshots take in two files."""

    snapshots: int
    bytes_ours: int
    bytes_raw: int


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """What a recorded series takes, and how many of its overviews come back to the letter."""

    snapshots: int
    bytes_parts: int
    bytes_all: int
    """Of all the file but the ledger and the runs' outcomes."""
    overviews: int
    exact: int


def measure() -> list[Line]:
    """Return the bytes a snapshot takes in our tables, and in one table of JSON; and what a recorded series takes."""
    return [*_invented(), *_recorded()]


def _invented() -> list[Line]:
    tell(f"storage: {COMPANIES} companies, {DAYS} days")
    answer = measured("benchmarks.stored")
    if answer is None:
        return [Line("bytes a snapshot", "-", "≤ 300", _NO_DBSTAT)]
    stored = Stored(**answer)
    ours, raw = stored.bytes_ours / stored.snapshots, stored.bytes_raw / stored.snapshots
    return [
        Line("bytes a snapshot", f"{ours:.0f}", "≤ 300", f"{stored.snapshots:,} snapshots: {', '.join(PARTS)}"),
        Line("ours / rows of JSON", f"{ours / raw:.3f}", "", f"{raw:.0f} bytes a row, as received"),
    ]


def _recorded() -> list[Line]:
    what = "recorded series: bytes a snapshot"
    if not _RECORDING.exists():
        return [Line(what, "-", "≤ 300", f"skipped: there is no {_RECORDING.name}")]
    tell("storage: a recorded series")
    answer = measured("benchmarks.recorded", str(_RECORDING))
    if answer is None:
        return [Line(what, "-", "≤ 300", _NO_DBSTAT)]
    series = RecordedSeries(**answer)
    parts, whole = series.bytes_parts / series.snapshots, series.bytes_all / series.snapshots
    return [
        Line(what, f"{parts:.1f}", "≤ 300", f"{series.snapshots:,} snapshots: {', '.join(PARTS)}, with their indexes"),
        Line(
            "  all of the file but ledger and outcomes",
            f"{whole:.1f}",
            "≤ 300",
            "looks, symbols, runs and the schema besides",
        ),
        Line(
            "  overviews that come back to the letter",
            f"{series.exact:,}",
            f"{series.overviews:,}",
            "keys, their order, and values",
            is_broken=series.exact != series.overviews,
        ),
    ]
