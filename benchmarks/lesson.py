"""Five requests one after another, all at once, and as we send them: the comparison of every asyncio lesson."""

from datetime import timedelta
from statistics import median

from benchmarks.processes import Took, measured, report_progress
from benchmarks.report import Line
from benchmarks.server import Plan, served
from pipeline.quota.limits import PLANS

QUESTION = "Lesson: five symbols, 200 ms latency, without start-up"
_SYMBOLS = 5
_LATENCY = timedelta(milliseconds=200)
_PLAN = "premium-75"
"""It admits five requests at once."""
_TIMES = 5
_LIMITS = [argument for limit in PLANS[_PLAN] for argument in ("--limit", str(limit))]


def measure() -> list[Line]:
    """Return how long the three ways take."""
    report_progress("lesson: five symbols, three ways, five times each")
    one_by_one, gathered, pipeline = (
        _seconds(*client) for client in (("one-by-one",), ("gathered",), ("pipeline", *_LIMITS))
    )
    return [
        Line("one after another / gathered", f"{one_by_one / gathered:.3f}", "", f"{one_by_one:.3f} s, aiohttp alone"),
        Line("gathered", "1", "", f"{gathered:.3f} s, aiohttp alone"),
        Line(
            "pipeline / gathered",
            f"{pipeline / gathered:.3f}",
            "≤ 1.3",
            f"{pipeline:.3f} s, plan {_PLAN}: slots reserved on disk, answers stored",
        ),
    ]


def _seconds(client: str, *limits: str) -> float:
    with served(Plan(_LATENCY)) as server:
        arguments = (client, server.url, str(_SYMBOLS), *limits)
        return median(Took(**measured("benchmarks.client", *arguments)).seconds for _ in range(_TIMES))
