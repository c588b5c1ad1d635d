"""What can the parts of a fleet do, each alone, and how long does a follower far behind take?"""

from dataclasses import dataclass

from benchmarks.processes import measured, report_progress
from benchmarks.report import Line

QUESTION = "Fleet: one PostgreSQL on this machine, with fsync, and members that share it"
_FAR_BEHIND = 10_000_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What the parts of a fleet can do in a second, each alone."""

    slots: float
    """Slots of one key, reserved and closed."""
    appended: float
    """Answers, 20 in a commit."""
    appended_at_once: float
    """Answers, 100 in a commit."""
    followed: int
    """Entries of the log that a new record got."""
    follow_seconds: float
    copy_seconds: float
    """For a backup of that record."""


def measure() -> list[Line]:
    """Return the rates of the parts."""
    report_progress("fleet: slots, the log, and a record that follows it")
    answer = measured("benchmarks.fleet_parts")
    if "skipped" in answer:
        return [Line("slots reserved and closed/s, one key", "-", "≥ 2,000", f"skipped: {answer['skipped']}")]
    return _parts(Parts(**answer))


def _parts(parts: Parts) -> list[Line]:
    followed = parts.followed / parts.follow_seconds
    behind, copied = (_FAR_BEHIND / parts.followed * one for one in (parts.follow_seconds, parts.copy_seconds))
    entries = f"{parts.followed:,} entries in {parts.follow_seconds:.1f} s"
    return [
        Line("slots reserved and closed/s, one key", f"{parts.slots:,.0f}", "≥ 2,000", "four members, 20 at once"),
        Line(
            "answers appended/s",
            f"{parts.appended:,.0f}",
            "≥ 4,000",
            f"four members, 20 in a commit; with 100, {parts.appended_at_once:,.0f}",
        ),
        Line("entries followed/s", f"{followed:,.0f}", "≥ 5,000", f"by a new record: {entries}"),
        Line("  10 million behind: minutes", f"{behind / 60:.1f}", "≤ 40", "at this rate"),
        Line("  from a backup of another: minutes", f"{copied / 60:.1f}", "", "as long as the copy takes"),
    ]
