"""Does a fleet keep the pace of its keys, do more members get more, and what can its parts do, each alone?"""

from dataclasses import dataclass

from benchmarks.processes import measured, report_progress
from benchmarks.report import Line, ratio
from pipeline.quota.limits import Limit

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


@dataclass(frozen=True, slots=True)
class Together:
    """What members needed for one run."""

    stored: int
    requests: int
    refused: int
    seconds: float
    """From the first request to the last answer, as the API saw it."""
    members_cpu: float
    """Seconds of processor time, of all members."""
    postgres_cpu: float
    api_cpu: float

    @property
    def rate(self) -> float:
        return self.stored / self.seconds


_MEMBERS = 4
_LATENCY = 0.1
_PACED = Limit.parse("300/minute")
_WAVES = 2
_UNLIMITED = 10_000
"""Symbols where nothing limits."""


def measure() -> list[Line]:
    """Return the rates of the parts, the pace that members keep together, and how many more of them get."""
    report_progress("fleet: slots, the log, and a record that follows it")
    answer = measured("benchmarks.fleet_parts")
    if "skipped" in answer:
        return [Line("slots reserved and closed/s, one key", "-", "≥ 2,000", f"skipped: {answer['skipped']}")]
    return [*_parts(Parts(**answer)), *_pace(), *_scaling()]


def _pace() -> list[Line]:
    symbols = _WAVES * _PACED.count
    least = (_WAVES - 1) * _PACED.period.total_seconds() + _LATENCY
    report_progress(f"fleet: {_PACED}, {symbols} symbols, {_MEMBERS} members: {least:.0f} s at least")
    options = ("--limit", str(_PACED), "--latency", str(_LATENCY))
    took = Together(**measured("benchmarks.fleet_members", str(_MEMBERS), str(symbols), *options))
    made_of = f"{took.seconds:.2f} s, least possible {least:.2f} s"
    requests = f"{took.requests} requests for {symbols} symbols"
    is_broken = took.refused > 0 or took.requests != symbols
    return [
        ratio(f"{_PACED}, {_MEMBERS} members", took.seconds, least, target="≤ 1.03", made_of=made_of),
        Line("  requests over the limit", str(took.refused), "0", requests, is_broken),
    ]


def _scaling() -> list[Line]:
    report_progress(f"fleet: {_UNLIMITED:,} symbols without a limit, one member and {_MEMBERS}")
    one, more = (
        Together(**measured("benchmarks.fleet_members", str(members), str(_UNLIMITED))) for members in (1, _MEMBERS)
    )
    rates = f"{more.rate:,.0f} against {one.rate:,.0f} overviews/s, no limit, no latency"
    return [
        ratio(f"{_MEMBERS} members / one", more.rate, one.rate, target="≥ 1.5", made_of=rates),
        Line("  processors busy, of this machine: one", f"{_busy(one):.2f}", "", _shares(one)),
        Line(f"  processors busy, of this machine: {_MEMBERS}", f"{_busy(more):.2f}", "", _shares(more)),
    ]


def _busy(took: Together) -> float:
    return (took.members_cpu + took.postgres_cpu + took.api_cpu) / took.seconds


def _shares(took: Together) -> str:
    """Return what a symbol costs, in microseconds of a processor."""
    parts = {"members": took.members_cpu, "PostgreSQL": took.postgres_cpu, "the API": took.api_cpu}
    return ", ".join(f"{name} {seconds / took.stored * 1e6:.0f}" for name, seconds in parts.items()) + " µs a symbol"


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
