"""Damaged files: whatever a disk, a person or another program made of a record, each command ends in order."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.torture.damage.asking import KEY, READING, all_of, ask, import_everything, questions, wrong_with
from tests.torture.damage.corpus import CORPUS
from tests.torture.damage.records import make_records
from tests.torture.damage.spoiling import Damage, spoil
from tests.torture.trial import Bout, Mutant, Trial

_QUESTIONS = 12
"""Of each record, besides those that are always asked."""
_PROCESSES = 0.1
"""The part of the records of which one question is asked by a process, too: it takes as long as thirty that are not."""


def run(bout: Bout) -> None:
    """Damage a copy of a record, ask it everything, and check how each question ended."""
    import_everything()
    records = make_records(bout.folder / "records")
    for case in CORPUS:
        if bout.stops_when_broken and not bout.goes_on():
            return
        folder = _copy(records[case.record], bout.folder / "damaged")
        _ask(bout, case.record, folder, case.damage(folder), case.questions)
        _remove(folder)
    whole: dict[tuple[str, str], list[str]] = {}
    while bout.goes_on():
        name = bout.random.choice(sorted(records))
        folder = _copy(records[name], bout.folder / "damaged")
        damage = spoil(folder, bout.random)
        if damage.spares is not None:
            if (name, damage.spares) not in whole:
                whole[name, damage.spares] = _all_of(records[name], damage.spares, bout.folder / "whole")
            for words, out, expected in zip(
                all_of(damage.spares), _all_of(folder, damage.spares, folder), whole[name, damage.spares], strict=True
            ):
                if out != expected:
                    bout.broken(
                        f"{name}, {damage.what}: {' '.join(words)}: not as before, though nothing of it is damaged"
                    )
        _ask(bout, name, folder, damage, questions(bout.random, _QUESTIONS))
        if bout.random.random() < _PROCESSES:
            _start(bout, f"{name}, {damage.what}", folder)
        _remove(folder)


def _copy(record: Path, folder: Path) -> Path:
    shutil.copytree(record, folder, symlinks=True)
    return folder


def _all_of(record: Path, symbol: str, folder: Path) -> list[str]:
    """Return digests of all that is kept of a symbol, from a copy of a record, or from one that is a copy."""
    if record != folder:
        _copy(record, folder)
    found = [f"{ended.code} {ended.out}" for ended in ask(folder, all_of(symbol))]
    if record != folder:
        _remove(folder)
    return found


def _ask(bout: Bout, name: str, folder: Path, damage: Damage, asked: Sequence[tuple[str, ...]]) -> None:
    bout.count("damaged files")
    for ended in ask(folder, asked):
        is_command = not ended.words[0].startswith("@")
        bout.count("commands" if is_command else "other questions", ended.answers)
        if ended.wrong:
            bout.broken(f"{name}, {damage.what}: {' '.join(ended.words)}: {ended.wrong}")


def _start(bout: Bout, what: str, folder: Path) -> None:
    """Ask one of the questions as a process of its own, one that draws among them."""
    words = bout.random.choice((*READING, ("history", "AAPL", "--plot", "out.svg")))
    environment = bout.environment(ALPHAVANTAGE_API_KEY=KEY)
    command = [sys.executable, "-m", "pipeline", *words]
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        bout.broken(f"{what}: {' '.join(words)}, as a process: hangs")
        return
    bout.count("processes")
    if wrong := wrong_with(
        ended.returncode, ended.stderr.decode(errors="replace"), ended.stdout.decode(errors="replace")
    ):
        bout.broken(f"{what}: {' '.join(words)}, as a process: {wrong}")


def _remove(folder: Path) -> None:
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder)


TRIAL = Trial(
    "damaged files",
    "one line and an exit code, whatever is in the files; what is whole can still be read; reading writes nothing",
    run,
    (
        Mutant(
            "a value that cannot be there is a mistake of the program's",
            "pipeline/store/diagnosis.py",
            "    if not files or not 0 < files[0].st_size <= _LARGEST:",
            "    if True:",
        ),
        Mutant(
            "a text that cannot be decoded is a crash",
            "pipeline/store/database.py",
            "    except Undecodable as error:\n        raise undecodable(path, error) from error\n",
            "",
        ),
        Mutant(
            "JSON that is none is a crash",
            "pipeline/decoding.py",
            "_ERRORS = (ValueError, RecursionError, OverflowError)",
            "_ERRORS = (RecursionError, OverflowError)",
        ),
        Mutant(
            "reading opens the file for writing",
            "pipeline/store/database.py",
            "        name = uri(path, mode) +",
            '        name = uri(path, "rw") +',
        ),
    ),
    share=1.5,
)
