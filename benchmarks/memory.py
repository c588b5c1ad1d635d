"""Does memory grow with the answers? It should grow with the names only."""

from benchmarks.processes import Took, measured, report_progress
from benchmarks.report import Line, ratio
from benchmarks.server import Plan, served

QUESTION = "Memory: the peak of a process that collects 100,000 symbols, against one that collects 1,000"
_MANY, _FEW = 100_000, 1_000


def measure() -> list[Line]:
    """Return how much more many symbols take than few."""
    few, many = _peak(_FEW), _peak(_MANY)
    made_of = f"{many:.1f} MB against {few:.1f} MB, including the interpreter and its modules"
    return [ratio(f"{_MANY:,} symbols / {_FEW:,}", many, few, target="≤ 1.5", made_of=made_of)]


def _peak(symbols: int) -> float:
    report_progress(f"memory: {symbols:,} symbols")
    with served(Plan()) as server:
        return Took(**measured("benchmarks.client", "pipeline", server.url, str(symbols))).peak_megabytes
