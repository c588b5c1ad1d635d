"""Does a plan's window cost more time than necessary, and is it ever exceeded? Its server enforces it."""

from dataclasses import dataclass
from datetime import timedelta

from benchmarks.processes import Took, measured, report_progress
from benchmarks.report import Line, ratio
from benchmarks.server import Counted, Plan, served
from pipeline.quota.limits import Limit

QUESTION = "Windows: wall time against the least possible, 100 ms latency, a server that counts and refuses"
_LATENCY = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class _Case:
    limit: Limit
    symbols: int
    target: str

    def least(self) -> timedelta:
        """Return the least time it takes: the last wave may leave when all windows before it have passed."""
        waves_before = (self.symbols - 1) // self.limit.count
        return waves_before * self.limit.period + _LATENCY


_CASES = (
    _Case(Limit.parse("40/second"), 800, "≤ 1.15"),
    _Case(Limit.parse("120/minute"), 300, "≤ 1.02"),
)


def measure() -> list[Line]:
    """Return each plan's time as a multiple of the least, and how often its window was exceeded."""
    return [line for case in _CASES for line in _measured(case)]


def _measured(case: _Case) -> list[Line]:
    least = case.least().total_seconds()
    report_progress(f"windows: {case.limit}, {case.symbols} symbols: {least:.0f} s at least")
    with served(Plan(_LATENCY, (case.limit,))) as server:
        took = Took(
            **measured("benchmarks.client", "pipeline", server.url, str(case.symbols), "--limit", str(case.limit))
        )
    made_of = f"{took.seconds:.2f} s, least possible {least:.2f} s"
    return [
        ratio(f"{case.limit}, {case.symbols} symbols", took.seconds, least, target=case.target, made_of=made_of),
        _exceeded(case, server.counted),
    ]


def _exceeded(case: _Case, counted: Counted) -> Line:
    over = max(counted.refused, counted.most_in_sliding_window - case.limit.count)
    most = f"most in any window {counted.most_in_sliding_window}, in a fixed one {counted.most_in_fixed_window}"
    made_of = f"{counted.requests} requests for {case.symbols} symbols; {most}"
    is_broken = over > 0 or counted.requests != case.symbols
    return Line("  requests over the limit", str(over), "0", made_of, is_broken)
