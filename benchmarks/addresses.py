"""Addresses to ask a site for: of every route one, and many that differ. Run as a process: prints JSON."""

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.model.fields import CATALOGUE
from pipeline.pages.routes import ROUTES as PAGES
from pipeline.query.history import History
from pipeline.rest.routes import ROUTES as REST

_FORMS = re.compile(r"(?<!openapi)\.(?:csv|json|parquet)$")
"""The endings of paths that give the same answers in other forms."""
_OTHERS = re.compile(r"/(?:static/|go$|find$|robots\.txt$|favicon\.ico$)")
"""Files, and addresses that lead elsewhere."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The addresses of a route."""

    route: str
    one: str
    many: Sequence[str]


def addresses(database: Path, count: int) -> Iterator[Asked]:
    """Yield the addresses of every page, and of every path of the API once, whatever its forms."""
    with History.open(database) as history:
        symbols = history.symbols()
        first = history.first_observed_at()
    assert first is not None
    rng = random.Random(1)
    for path in (route.path for route in (*PAGES, *REST)):
        if not (_FORMS.search(path) or _OTHERS.match(path) or "{path" in path):
            many = {_address(path, rng, symbols, first) for _ in range(count)}
            yield Asked(path, _plain(path, symbols[0]), sorted(many))


def _plain(path: str, symbol: str) -> str:
    """Return the address of a path at present, with what it needs."""
    needed = {"/query": f"?function=OVERVIEW&symbol={symbol}", "/compare": "?from=2023-06-01&to=2023-09-01"}
    return _filled(path, symbol) + needed.get(path, "")


def _address(path: str, rng: random.Random, symbols: Sequence[str], first: datetime) -> str:
    """Return an address of a path that differs from others by company, order or day."""
    symbol, day = rng.choice(symbols), (first + timedelta(days=rng.randrange(10, 900))).date()
    if path == "/companies":
        return f"{path}?sort=-{rng.choice(CATALOGUE[1:]).column}"
    if path == "/compare":
        return f"{path}?from={day}&to={day + timedelta(days=90)}"
    if path == "/query":
        return f"{path}?function=OVERVIEW&symbol={symbol}"
    if "{symbol}" in path:
        return _filled(path, symbol)
    return f"/as-of/{day}{path}"


def _filled(path: str, symbol: str) -> str:
    """Return a path with a value for each of its parts."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: symbol if found[1] == "symbol" else "1", path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    print(json.dumps([asdict(one) for one in addresses(arguments.database, arguments.count)]))


if __name__ == "__main__":
    main()
