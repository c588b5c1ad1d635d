"""The cost of each step from bytes to commit, alone. Run as a process: prints microseconds a symbol as JSON."""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.documents import Documents, symbols
from benchmarks.throughput import Pieces
from pipeline import instants
from pipeline.api.responses import read_response, strict_json
from pipeline.model.document import Overview, split_document, version_of
from pipeline.model.outcomes import Trigger
from pipeline.store.migrate import migrate
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer

_SYMBOLS = 3_000
_BATCH = 64
_TIMES = 5


def _alone(piece: Callable[[], object]) -> float:
    """Return the best of a few times, so that other work of the machine is not measured."""
    return min(_once(piece) for _ in range(_TIMES))


def _once(piece: Callable[[], object]) -> float:
    began = time.perf_counter()
    piece()
    return _per_symbol(time.perf_counter() - began)


def _per_symbol(seconds: float) -> float:
    return seconds / _SYMBOLS * 1e6


def _check(_outcome: object, error: BaseException | None) -> None:
    if error is not None:
        raise error


async def _stored(overviews: list[Overview]) -> tuple[float, float]:
    """Return the wall time and the main thread's time of storing the overviews in a new file."""
    with tempfile.TemporaryDirectory() as folder:
        database, at = Path(folder, "overviews.db"), instants.utc_now()
        migrate(database, now=at)
        async with open_writer(database) as writer:
            store = Store(writer)
            run = await store.begin(Trigger.MANUAL, at=at, symbols=_SYMBOLS, due=_SYMBOLS)
            began, worked = time.perf_counter(), time.thread_time()
            for start in range(0, _SYMBOLS, _BATCH):
                batch = overviews[start : start + _BATCH]
                for overview in batch:
                    store.hand_over(run, overview, at=at, attempts=1, on_done=_check)
                await store.ping()
            return _per_symbol(time.perf_counter() - began), _per_symbol(time.thread_time() - worked)


def main() -> None:
    documents, names = Documents(), symbols(_SYMBOLS)
    bodies = [documents.body(symbol.encode()) for symbol in names]
    overviews = [read_response(symbol, 200, {}, body) for symbol, body in zip(names, bodies, strict=True)]
    parts = _alone(lambda: [version_of(split_document(overview)) for overview in overviews])
    store, store_main = min(asyncio.run(_stored(overviews)) for _ in range(_TIMES))
    pieces = Pieces(
        loads=_alone(lambda: [json.loads(body) for body in bodies]),
        strict=_alone(lambda: [strict_json(body) for body in bodies]),
        parts=parts,
        store=store - parts,
        store_main=store_main - parts,
    )
    print(json.dumps(asdict(pieces)))


if __name__ == "__main__":
    main()
