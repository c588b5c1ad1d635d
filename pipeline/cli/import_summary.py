"""What an import did, for people and as JSON: its outcomes in the words of `collect`, `runs` and `status`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.cli.options import Options
from pipeline.cli.output import print_line, print_table, shown
from pipeline.model.outcomes import MEANING, Outcome, RunStatus, Trigger
from pipeline.text import count
from pipeline.transfer.complaints import Complaints
from pipeline.transfer.entries import Problem
from pipeline.transfer.importing import ImportResult, Refused


class ProblemReport:
    """Reports problems on stderr: at the end, a line for each kind; with -v each at once, and refused responses too."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._complaints = Complaints()

    def __call__(self, problem: Problem) -> None:
        """Print a problem, or count it."""
        if self._options.verbose:
            self._options.say(f"{problem.place}: {problem.reason}")
        elif not isinstance(problem, Refused):
            self._complaints.add(problem)

    def end(self) -> None:
        """Print what was counted."""
        for line in self._complaints.lines():
            self._options.say(line)


def summary_json(done: ImportResult) -> dict[str, object]:
    """Return what an import did, for JSON; `seconds` is elapsed time."""
    return {
        "run": done.run,
        "trigger": Trigger.IMPORT,
        "status": done.status,
        "lines": done.lines,
        "symbols": len(done.symbols),
        **{outcome.value: done.counts[outcome] for outcome in Outcome},
        "refused": dict(done.refused),
        "conflicts": done.conflicts,
        "quarter_not_over": done.ahead,
        "bad": done.bad,
        "skipped": done.skipped,
        "seconds": round(done.seconds, 3),
        "detail": done.detail,
    }


def print_summary(done: ImportResult, database: Path, options: Options, *, noun: str) -> None:
    """Print what an import did; `noun` is what it counted: lines or files."""
    if rows := list(_rows(done)):
        print_table(["outcome", "responses", ""], rows)
        print_line()
    if done.status is not RunStatus.FAILED:
        if done.ahead:
            were = "document was" if done.ahead == 1 else "documents were"
            what = f"{done.ahead:,} {were} received before the latest quarter was over"
            print_line(f"{what}: see {options.command('changes')} --suspicious")
        print_line(ending(done))
    if done.lines:
        rate = f", {done.lines / done.seconds:,.0f} a second" if done.seconds >= 1 else ""
        print_line(f"{count(done.lines, noun)} of {count(len(done.symbols), 'symbol')} took {done.seconds:.2f} s{rate}")
    print_line(f"database: {database}")


def _rows(done: ImportResult) -> Iterator[tuple[str, int, str]]:
    """Yield the outcomes that there were, as any run has them, conflicts in a row of their own, and what has none."""
    counts = done.counts - Counter({Outcome.REJECTED: done.conflicts})
    for outcome in Outcome:
        if counts[outcome]:
            yield outcome, counts[outcome], MEANING[outcome] + (" (-v shows them)" if outcome in _REFUSED else "")
        if outcome is Outcome.REJECTED and done.conflicts:
            yield outcome, done.conflicts, "in conflict with the document stored for that time: see above"
    if done.bad:
        yield "bad", done.bad, "unreadable: see above"
    if done.skipped:
        yield "skipped", done.skipped, "files that do not belong to the archive: see above"


def ending(done: ImportResult) -> str:
    """Return in one line how the import ended, and why."""
    why = done.detail or (count(done.bad, "bad entry", "bad entries") if done.bad else "")
    return f"run {done.run} {_ENDED.get(done.status, f'is {done.status}')}" + (f": {shown(why)}" if why else "")


_REFUSED = frozenset({Outcome.FAILED, Outcome.REJECTED, Outcome.DEFERRED})
"""Outcomes of what was recorded in place of an overview."""
_ENDED = {RunStatus.FAILED: "failed", RunStatus.INTERRUPTED: "was interrupted"}
