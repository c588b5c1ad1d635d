"""Attack every promise of docs/guarantees.md, and check that mistakes in the code would be found: `make torture`.

Prints a scoreboard; fails if a promise is broken, or a mistake was not found.
"""

import argparse
import os
import random
import shlex
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pipeline.cli.output import print_table
from tests.torture import scoreboard
from tests.torture.running import TrialFailed, run_trial
from tests.torture.scoreboard import Score
from tests.torture.trial import Mutant, Result, Trial
from tests.torture.trials import TRIALS, trial_named

_MINUTES, _SHORT_MINUTES = 27.0, 3.0
"""The second is an upper bound: attempts of a fixed number end the short form earlier."""
_FOR_MUTANTS = 0.25
"""The part of the time that is set aside for mutants: each ends when it is found."""
_LONGEST_FOR_ONE = 180.0
"""Seconds in which a mutant has to be found: a hundred times what most take on an idle machine; others may use it."""
_AT_ONCE = 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    add = parser.add_argument
    add("--short", action="store_true", help="a fixed number of attempts, and one mistake for each, as CI does it")
    add("--minutes", type=float, help=f"for all, on two cores [{_MINUTES:g}; --short: at most {_SHORT_MINUTES:g}]")
    add("--seconds", type=float, help="of a trial with a share of 1, instead of what the minutes give")
    add("--trial", action="append", metavar="NAME", help=f"only these: {', '.join(one.name for one in TRIALS)}")
    add("--mutant", metavar="NAME", help="run the trials on the code with this mistake, and print what they find")
    add("--no-mutants", action="store_true", help="only the code as it is")
    add("--seed", type=int, default=random.randrange(10**6))
    add("--write", action="store_true", help="put the scoreboard into docs/guarantees.md")
    return parser.parse_args()


def _score(trial: Trial, *, seconds: float, seed: int, attempts: int | None, mutants: Sequence[Mutant]) -> Score:
    if (reason := trial.needs()) is not None:
        return Score(trial, None, 0, (), skipped=reason)
    try:
        result = run_trial(trial, seconds=seconds, seed=seed, attempts=attempts)
        left = f", no time for {result.left} of {attempts} attempts" if result.left else ""
        tried = f"{Score(trial, result, 0, ()).tried} in {result.seconds:.1f} s{left}"
        _say(f"{trial.name}: {tried}: {'; '.join(result.broken) or 'held'}")
        missed = [one.name for one in mutants if not _is_found(trial, one, seed=seed)]
    except (TrialFailed, ValueError) as error:
        _say(str(error))
        return Score(trial, None, 0, (), failed=str(error))
    return Score(trial, result, len(mutants) - len(missed), missed)


def _is_found(trial: Trial, mutant: Mutant, *, seed: int) -> bool:
    result = run_trial(trial, seconds=_LONGEST_FOR_ONE, seed=seed, mutant=mutant)
    found = result.broken[0] if result.broken else "NOT FOUND"
    _say(f"{trial.name}, mutant {mutant.name}: {found} ({result.seconds:.1f} s)")
    return bool(result.broken)


def _try_mutant(trials: Sequence[Trial], name: str, *, seed: int) -> int:
    for trial in trials:
        for mutant in trial.mutants:
            if mutant.name == name:
                return int(not _is_found(trial, mutant, seed=seed))
    raise ValueError(f"no mutant {name!r}: {', '.join(one.name for trial in trials for one in trial.mutants)}")


def _mutants(trial: Trial, options: argparse.Namespace) -> Sequence[Mutant]:
    """Return the mistakes to try: in the short form one, another with each seed."""
    if options.no_mutants:
        return ()
    quick = [one for one in trial.mutants if not one.is_slow]
    if options.short and quick:
        return (quick[options.seed % len(quick)],)
    return trial.mutants


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _share(trials: Sequence[Trial], options: argparse.Namespace) -> float:
    """Return the seconds of a trial with a share of 1."""
    if options.seconds is not None:
        return float(options.seconds)
    minutes = options.minutes or (_SHORT_MINUTES if options.short else _MINUTES)
    for_trials = minutes * 60 * (1 - (0 if options.no_mutants else _FOR_MUTANTS))
    return float(for_trials) * _AT_ONCE / max(sum(one.share for one in trials), 1)


def main() -> int:
    options = _options()
    try:
        trials = [trial_named(name) for name in options.trial] if options.trial else list(TRIALS)
        seconds = _share(trials, options)
        if options.mutant is not None:
            return _try_mutant(trials, options.mutant, seed=options.seed)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    _say(f"{len(trials)} trials of about {seconds:.0f} s, seed {options.seed}")
    began = time.monotonic()
    scores = _scores(trials, options, seconds)
    took = time.monotonic() - began
    print_table(["trial", "tried", "found", "mistakes found"], scoreboard.rows(scores), wide=True)
    for line in [line for one in scores for line in _what_is_wrong(one, options, seconds)]:
        print(line)
    print(f"{took / 60:.1f} minutes, seed {options.seed}, commit {scoreboard.commit()}")
    is_good = all(one.is_good for one in scores)
    if options.write and is_good:
        today = datetime.now(UTC).date()
        scoreboard.write(scoreboard.markdown(scores, seconds=took, commit=scoreboard.commit(), on=today))
    elif options.write:
        print("not written into the documentation, which shows what held")
    return int(not is_good)


def _scores(trials: Sequence[Trial], options: argparse.Namespace, seconds: float) -> list[Score]:
    """Return how the trials went, in their order. The longest begin first, so that all end at about the same time."""
    with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
        running = {
            one.name: pool.submit(
                _score,
                one,
                seconds=seconds * one.share,
                seed=options.seed,
                attempts=one.short_attempts if options.short else None,
                mutants=_mutants(one, options),
            )
            for one in sorted(trials, key=lambda one: -one.share)
        }
        return [running[one.name].result() for one in trials]


def _what_is_wrong(score: Score, options: argparse.Namespace, seconds: float) -> list[str]:
    """Return a line for each promise that was broken, and the command that tries the same again."""
    short, name = "--short " if options.short else "", shlex.quote(score.trial.name)
    same = f"{short}--seconds {seconds:g} --seed {options.seed} --trial {name} --no-mutants"
    result = score.result or Result({}, [], 0)
    found = [f"{score.trial.name}: {line}" for line in [*result.broken, *([score.failed] if score.failed else [])]]
    return [*found, f"{score.trial.name}, again: python -m tests.torture {same}"] if found else []


if __name__ == "__main__":
    sys.exit(main())
