"""Failing disks: operations on files fail, once, a few times or from some point on, in every command that writes.

A full disk, one that has become read-only, one with errors, a quota, writes that are cut short or interrupted, a sync
that fails once and then claims to have succeeded. The command ends in order; with the disk well again, nothing is lost.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.torture.holding import attempted
from tests.torture.interposed import EVER, FOLDER, LINK, OPEN, READ, RENAME, SYNC, TRUNCATE, UNLINK, WRITE, missing
from tests.torture.scenes import DATABASE, Theatre, theatre
from tests.torture.stage import Played
from tests.torture.trial import Bout, Mutant, Trial
from tests.torture.whole import Whole, wholes

_NAMES = RENAME + UNLINK + LINK + FOLDER
_FOLLOWING = ("same", "same", "question", "run")
_FULL = Path("/dev/full")
_PRINTS_TO_FULL = 0.2
"""How often what the command prints goes to a full disk, too."""
_READS = 60
"""About as many as a command makes here."""
_QUESTIONS_ASKED = 0.4
"""How often a question is asked of a failing disk, after a command that writes."""
_QUESTIONS = (
    ("status", "--json"), ("as-of", "now"), ("history", "AAPL"), ("changes",), ("vintages", "--all"), ("runs",),
    ("symbols",), ("plan",), ("doctor",), ("doctor", "--deep"), ("panel", "pe_ratio"), ("health",),
)  # fmt: skip
_SAID = ("pipeline: ", "{")
_TRACEBACK = "Traceback (most recent call last)"
_NO_SPACE = OPEN + WRITE + TRUNCATE + FOLDER + LINK + RENAME


@dataclass(frozen=True, slots=True)
class Failure:
    """A way in which a disk fails: which operations, with which error, and whether it may be for good."""

    name: str
    kinds: str
    error: int
    may_stay: bool = True


FAILURES = (
    Failure("full", _NO_SPACE + SYNC, errno.ENOSPC),
    Failure("over quota", _NO_SPACE, errno.EDQUOT),
    Failure("read-only", OPEN + WRITE + TRUNCATE + SYNC + _NAMES, errno.EROFS),
    Failure("writes with errors", WRITE + SYNC + TRUNCATE, errno.EIO),
    Failure("all with errors", OPEN + READ + WRITE + SYNC + TRUNCATE + _NAMES, errno.EIO),
    Failure("reads with errors", READ, errno.EIO),
    Failure("syncs with errors", SYNC, errno.EIO),
    Failure("cuts writes short", WRITE, 0),
    Failure("interrupts", OPEN + WRITE + TRUNCATE, errno.EINTR, may_stay=False),
)


def run(bout: Bout) -> None:
    """Let the disk fail once in each scene, then in scenes at random, until the time is over."""
    os.umask(0o077)
    with theatre(bout) as stage:
        for whole in wholes(bout, stage):
            if not bout.goes_on():
                break
            _fail(bout, stage, whole)
            if whole.scene.before is not None and bout.random.random() < _QUESTIONS_ASKED:
                _ask(bout, stage, whole)


def _ask(bout: Bout, stage: Theatre, whole: Whole) -> None:
    """Ask a question of a record whose disk cannot be read."""
    folder = stage.disk / "asked"
    whole.scene.prepare(folder)
    question, first = bout.random.choice(_QUESTIONS), bout.random.randint(1, _READS)
    stage.interposed.fail(READ, errno.EIO, first, bout.random.choice((first, EVER)))
    played = stage.play(folder, *question, "--database", str(DATABASE))
    bout.count("questions to failing disks", int(stage.interposed.failed > 0))
    stage.interposed.order()
    for problem in _ended_badly(played):
        bout.broken(f"{' '.join(question)} of {whole.scene.name}, read {first} fails: {problem}")
    shutil.rmtree(folder)


def _fail(bout: Bout, stage: Theatre, whole: Whole) -> None:
    random, failure = bout.random, bout.random.choice(FAILURES)
    changes = sum(kind in failure.kinds for kind in whole.kinds)
    first = random.randint(1, changes or _READS)
    length = random.choice((1, random.randint(2, 20), EVER) if failure.may_stay else (1, 2))
    stage.interposed.fail(failure.kinds, failure.error, first, first + length - 1)
    out = _FULL if random.random() < _PRINTS_TO_FULL else None
    attempt = attempted(stage, whole, out=out)
    bout.count("failing disks" if attempt.failed else "disks that did not fail")
    following = random.choice(_FOLLOWING)
    for problem in [*_ended_badly(attempt.played), *attempt.problems(following)]:
        span = "for good" if length == EVER else f"{length} times"
        to = " and stdout" if out else ""
        bout.broken(f"{whole.scene.name}, disk {failure.name}{to}, from {first}, {span}, then {following}: {problem}")
    shutil.rmtree(attempt.folder)


def _ended_badly(played: Played) -> Iterator[str]:
    """Yield what is wrong with how a command ended: with one line, and no traceback."""
    if played.code < 0:
        yield f"it was ended by signal {-played.code}"
    if _TRACEBACK in played.err:
        yield f"a traceback: {' | '.join(played.err.strip().splitlines()[-6:])}"
    elif strange := [line for line in played.err.splitlines() if not line.startswith(_SAID)]:
        yield f"it said {strange[0]!r}"
    elif played.code and not (played.err + played.out).strip():
        yield f"it ended with {played.code} and said nothing"


TRIAL = Trial(
    name="failing disks",
    promise="what cannot be stored is not acknowledged, and not requested",
    run=run,
    short_attempts=6,
    needs=missing,
    mutants=(
        Mutant(
            "acknowledges what was not committed",
            "pipeline/store/writer.py",
            '            await self._db.execute("COMMIT")\n        except BaseException:',
            "            with suppress(sqlite3.Error):\n"
            '                await self._db.execute("COMMIT")\n        except BaseException:',
        ),
    ),
)
