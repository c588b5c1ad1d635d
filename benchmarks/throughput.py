"""How much of the speed of asking without keeping anything is left when everything is kept?"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.processes import Took, measured, tell
from benchmarks.report import Line
from benchmarks.server import Plan, served

QUESTION = "Throughput: 20,000 symbols, no limit, loopback, no latency; in turns, the median of five each"
_SYMBOLS = 20_000
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Pieces:
    """What the steps between bytes and commit cost, each alone: microseconds a symbol."""

    loads: float
    """json.loads, as usual."""
    strict: float
    """The same, refusing what other readers would take differently."""
    parts: float
    """A document in typed columns, with the digests of its slow parts."""
    store: float
    """Kept, from the call until durable, in turns of 64; without the parts."""
    store_main: float
    """Of that, the processor's time of the thread in which all else happens."""


def measure(*, uvloop: bool) -> list[Line]:
    """Return ours over bare aiohttp, and where our time goes."""
    options = ("--uvloop",) if uvloop else ()
    took: dict[str, list[Took]] = {"gathered": [], "asked": [], "pipeline": []}
    server_share = 0.0
    for number in range(_ROUNDS):
        tell(f"throughput: round {number + 1} of {_ROUNDS}")
        for client, of_client in took.items():
            with served(Plan()) as server:
                arguments = (client, server.url, str(_SYMBOLS), *options)
                of_client.append(Took(**measured("benchmarks.client", *arguments)))
            server_share = max(server_share, server.counted.cpu_seconds / of_client[-1].seconds)
    bare, asked, ours = (median(one.seconds for one in of_client) for of_client in took.values())
    pieces = Pieces(**measured("benchmarks.pieces"))
    return [
        Line(
            "pipeline / bare aiohttp",
            f"{bare / ours:.3f}",
            "≥ 0.8",
            f"{_rate(ours)} against {_rate(bare)} overviews/s{', with uvloop' if uvloop else ''}",
        ),
        Line("  its spread over the rounds", _spread(took["gathered"], took["pipeline"])),
        Line("  asked and read only / bare", f"{bare / asked:.3f}", "", f"{_rate(asked)} overviews/s, nothing kept"),
        Line("  server's share of a core", f"{server_share:.2f}", "< 1", "at most: it is not what is measured"),
        *_where(_per_symbol(bare), _per_symbol(asked), _per_symbol(ours), pieces),
    ]


def _where(bare: float, asked: float, ours: float, pieces: Pieces) -> list[Line]:
    """Return where the microseconds go, as measured; the last line is what no piece accounts for by itself."""
    rest = ours - asked - pieces.parts - pieces.store_main
    store = f"{pieces.store:.0f} from end to end with nothing else to do; the rest in the writer's thread"
    lock = "slots, tasks and waiting for the one interpreter lock, which both threads need"
    return [
        Line("  µs a symbol: bare aiohttp", f"{bare:.0f}", "", f"of which json.loads {pieces.loads:.0f}"),
        Line("  µs a symbol: pipeline", f"{ours:.0f}", "", "of which:"),
        Line("    asking, and reading strictly", f"{asked:.0f}", "", f"of which strict JSON {pieces.strict:.0f}"),
        Line("    typing, and digests", f"{pieces.parts:.0f}", "", "measured alone"),
        Line("    handing over to the store", f"{pieces.store_main:.0f}", "", store),
        Line("    what stands besides between", f"{rest:.0f}", "", lock),
    ]


def _spread(bare: Sequence[Took], ours: Sequence[Took]) -> str:
    ratios = sorted(one.seconds / other.seconds for one, other in zip(bare, ours, strict=True))
    return f"{ratios[0]:.2f}-{ratios[-1]:.2f}"


def _rate(seconds: float) -> str:
    return f"{_SYMBOLS / seconds:,.0f}"


def _per_symbol(seconds: float) -> float:
    return seconds / _SYMBOLS * 1e6
