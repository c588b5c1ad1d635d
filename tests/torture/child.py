"""Run one trial in this process, on the tree that is the current folder, and print its result as JSON.

A process for each, so that one that dies or leaks takes nothing with it, and a mutant's code is what Python imports.
"""

import argparse
import sys
from pathlib import Path

import msgspec

import pipeline
from tests.torture.trial import Bout
from tests.torture.trials import trial_named


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trial")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--attempts", type=int)
    parser.add_argument("--until-broken", action="store_true")
    options = parser.parse_args()
    imported = Path(pipeline.__file__).parent.parent
    if not imported.samefile(Path.cwd()):
        print(f"the program under test is imported from {imported}, not from {Path.cwd()}", file=sys.stderr)
        return 1
    bout = Bout(
        options.folder,
        options.seconds,
        options.seed,
        stops_when_broken=options.until_broken,
        attempts=options.attempts,
    )
    trial_named(options.trial).run(bout)
    sys.stdout.buffer.write(msgspec.json.encode(bout.result()) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
