"""Kill, freeze and crash the parts of a fleet for a while, and check what it promised: `make chaos`.

Needs Linux, and PostgreSQL from the wheel that the development lock has. Prints a table; fails if a promise is broken.
"""

import argparse
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.cli.output import print_table
from pipeline.quota.limits import Limit
from tests.chaos import checks
from tests.chaos.checks import Finding
from tests.chaos.counting import requests_in
from tests.chaos.fleet import KEYS, fleet
from tests.chaos.mutants import MUTANTS
from tests.chaos.network import clock_of, network
from tests.chaos.storm import Storm


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=30)
    add("--members", type=int, default=8)
    add("--hosts", action="store_true", help="each on a host of its own, with a clock that is wrong, and ways to cut")
    add("--symbols", type=int, default=500)
    add("--limit", action="append", metavar="LIMIT", help="of each of the two keys [600/minute, 15/second]")
    add("--every", type=float, default=4, metavar="SECONDS", help="between two kills [4]")
    add("--crashes", type=int, metavar="NUMBER", help="of PostgreSQL [one in five minutes]")
    add("--latency", type=float, default=0.1, metavar="SECONDS")
    add("--settle", type=float, default=300, metavar="SECONDS", help="for what is under way at the end [300]")
    add("--seed", type=int, default=random.randrange(10**6))
    add("--mutant", choices=[one.__name__ for one in MUTANTS], help="a mistake that must be found")
    add("--keep", type=Path, metavar="FOLDER", help="where all files stay, instead of in a temporary folder")
    return parser.parse_args()


def _run(options: argparse.Namespace, folder: Path) -> list[Finding]:
    limits = options.limit or ["600/minute", "15/second"]
    symbols = [f"C{number:05d}" for number in range(options.symbols - 5)] + [f"NONE{number}" for number in range(5)]
    crashes = max(round(options.minutes / 5), 1) if options.crashes is None else options.crashes
    with (
        network() if options.hosts else nullcontext() as hosts,
        fleet(folder, limits, symbols, network=hosts, latency=options.latency) as under_test,
    ):
        if options.mutant is not None:
            with under_test.connected() as db:
                next(one for one in MUTANTS if one.__name__ == options.mutant)(db)
        for number in range(options.members):
            keys = [list(KEYS)[number % len(KEYS)]]
            before, environment = (hosts.add_host(), clock_of(number)) if hosts is not None else ([], {})
            under_test.add(f"m{number}", keys, before=before, environment=environment).start()
        storm = Storm(under_test, random.Random(options.seed), options.every, crashes, network=hosts)
        storm.rage(options.minutes * 60)
        _say("settling")
        try:
            settled = under_test.settle(options.settle)
        except AssertionError as error:
            under_test.kill()
            seen = checks.of_the_limits(requests_in(under_test.api_log), [Limit.parse(limit) for limit in limits])
            return [Finding("whether all was quiet in the end", str(error)[:3000], is_broken=True), *seen]
        _say("checking")
        happened = ", ".join(f"{number} {what}" for what, number in storm.counts.items())
        return [
            Finding("minutes, members, keys", f"{options.minutes:g}, {options.members}, {len(KEYS)}"),
            Finding("what happened", happened),
            Finding("seconds until all was quiet", f"{settled:.0f}"),
            *under_test.findings(),
        ]


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    options = _options()
    _say(f"{options.minutes:g} minutes, seed {options.seed}")
    try:
        if options.keep is not None:
            options.keep.mkdir(parents=True)
            found = _run(options, options.keep.resolve())
        else:
            with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
                found = _run(options, Path(folder))
    except pytest.skip.Exception as reason:
        print(f"skipped: {reason}")
        return 0
    rows = [(one.what, one.found, "BROKEN" if one.is_broken else "") for one in found]
    print_table(["what", "found", ""], rows, wide=True)
    return int(any(one.is_broken for one in found))


if __name__ == "__main__":
    sys.exit(main())
