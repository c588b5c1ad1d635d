"""How fast is collecting, against bare requests that store nothing?"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.processes import Took, measured, report_progress
from benchmarks.report import Line
from benchmarks.server import Plan, served

QUESTION = "Throughput: 20,000 symbols, no limit, loopback, no latency; in turns, the median of five each"
_SYMBOLS = 20_000
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Pieces:
    """The cost of each step from bytes to commit, alone: microseconds a symbol."""

    loads: float
    """json.loads, as usual."""
    strict: float
    """The same, refusing what other readers would take differently."""
    parts: float
    """A document in typed columns, with the digests of its slow parts."""
    store: float
    """Stored, from the call until durable, in turns of 64; without the parts."""
    store_main: float
    """Of that, the processor time of the main thread."""


def measure(*, uvloop: bool) -> list[Line]:
    """Return our rate over that of bare aiohttp, and where our time goes."""
    options = ("--uvloop",) if uvloop else ()
    took: dict[str, list[Took]] = {"gathered": [], "requested": [], "pipeline": []}
    server_share = 0.0
    for number in range(_ROUNDS):
        report_progress(f"throughput: round {number + 1} of {_ROUNDS}")
        for client, of_client in took.items():
            with served(Plan()) as server:
                arguments = (client, server.url, str(_SYMBOLS), *options)
                of_client.append(Took(**measured("benchmarks.client", *arguments)))
            server_share = max(server_share, server.counted.cpu_seconds / of_client[-1].seconds)
    bare, requested, ours = (median(one.seconds for one in of_client) for of_client in took.values())
    pieces = Pieces(**measured("benchmarks.pieces"))
    return [
        Line(
            "pipeline / bare aiohttp",
            f"{bare / ours:.3f}",
            "≥ 0.4",
            f"{_rate(ours)} against {_rate(bare)} overviews/s{', with uvloop' if uvloop else ''}",
        ),
        Line("  its spread over the rounds", _spread(took["gathered"], took["pipeline"])),
        Line(
            "  requested only / bare", f"{bare / requested:.3f}", "", f"{_rate(requested)} overviews/s, nothing stored"
        ),
        Line("  server's share of a core", f"{server_share:.2f}", "< 1", "at most: it is not the bottleneck"),
        *_where(_per_symbol(bare), _per_symbol(requested), _per_symbol(ours), pieces),
    ]


def _where(bare: float, requested: float, ours: float, pieces: Pieces) -> list[Line]:
    """Return where the microseconds go. The last line is the rest that no piece accounts for."""
    rest = ours - requested - pieces.parts - pieces.store_main
    store = f"{pieces.store:.0f} from end to end alone; the rest in the writer's thread"
    lock = "slots, tasks and waiting for the one interpreter lock, which both threads need"
    return [
        Line("  µs a symbol: bare aiohttp", f"{bare:.0f}", "", f"of which json.loads {pieces.loads:.0f}"),
        Line("  µs a symbol: pipeline", f"{ours:.0f}", "", "of which:"),
        Line("    requests, and strict parsing", f"{requested:.0f}", "", f"of which strict JSON {pieces.strict:.0f}"),
        Line("    types and digests", f"{pieces.parts:.0f}", "", "measured alone"),
        Line("    handing over to the writer", f"{pieces.store_main:.0f}", "", store),
        Line("    all else", f"{rest:.0f}", "", lock),
    ]


def _spread(bare: Sequence[Took], ours: Sequence[Took]) -> str:
    ratios = sorted(one.seconds / other.seconds for one, other in zip(bare, ours, strict=True))
    return f"{ratios[0]:.2f}-{ratios[-1]:.2f}"


def _rate(seconds: float) -> str:
    return f"{_SYMBOLS / seconds:,.0f}"


def _per_symbol(seconds: float) -> float:
    return seconds / _SYMBOLS * 1e6
