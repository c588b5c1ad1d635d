"""How much room does a version of a company take, against the row of JSON that is usually kept?"""

from dataclasses import dataclass

from benchmarks.processes import measured, tell
from benchmarks.report import Line

COMPANIES, DAYS = 50, 200
PARTS = ("snapshots", "profiles", "statements", "layouts")
QUESTION = f"Storage: bytes a distinct snapshot, {COMPANIES} of the sandbox's companies on {DAYS} days"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the same snapshots take in two files."""

    snapshots: int
    bytes_ours: int
    bytes_raw: int


def measure() -> list[Line]:
    """Return the bytes a snapshot takes in our tables, and in one table of JSON."""
    tell(f"storage: {COMPANIES} companies, {DAYS} days")
    answer = measured("benchmarks.stored")
    if answer is None:
        return [Line("bytes a snapshot", "-", "≤ 300", "this build of SQLite lacks dbstat, which would tell")]
    stored = Stored(**answer)
    ours, raw = stored.bytes_ours / stored.snapshots, stored.bytes_raw / stored.snapshots
    return [
        Line("bytes a snapshot", f"{ours:.0f}", "≤ 300", f"{stored.snapshots:,} snapshots: {', '.join(PARTS)}"),
        Line("ours / rows of JSON", f"{ours / raw:.3f}", "", f"{raw:.0f} bytes a row, as received"),
    ]
