"""What a server saw, set against limits: no window of any key ever held more requests than its limit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.quota.limits import Limit


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as the server wrote it down."""

    at: int
    """Nanoseconds of the machine's monotonic clock."""
    key: str
    """The fingerprint."""
    symbol: str
    answer: str


def requests_in(log: Path) -> list[Request]:
    """Return what a server's log has."""
    parts = (line.split(" ") for line in log.read_text().splitlines())
    return [Request(int(at), key, symbol, answer) for at, key, symbol, answer in parts]


def by_key(requests: Iterable[Request]) -> dict[str, list[int]]:
    """Return when each key's requests arrived, in order."""
    times: dict[str, list[int]] = defaultdict(list)
    for request in requests:
        times[request.key].append(request.at)
    return {key: sorted(of_key) for key, of_key in times.items()}


def most_in_any(times: Sequence[int], period: int) -> int:
    """Return the most of these instants, which are in order, in any window of that length; both ends belong to it."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] < at - period:
            first += 1
        most = max(most, last - first + 1)
    return most


def over(times: Sequence[int], limit: Limit) -> int:
    """Return by how many a window of the limit was exceeded at most; 0 if none was."""
    return max(most_in_any(times, round(limit.period.total_seconds() * 1e9)) - limit.count, 0)
