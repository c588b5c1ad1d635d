"""Damaged files: whatever a disk, a person or another program made of a record, each command ends in order."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ExitCode
from tests.torture.damage.asking import KEY, READING, all_of, ask, import_everything, questions, wrong_with
from tests.torture.damage.corpus import CORPUS
from tests.torture.damage.records import SYMBOLS, make_records
from tests.torture.damage.spoiling import Damage, spoil
from tests.torture.trial import Bout, Mutant, Trial

_QUESTIONS = 12
"""Of each record, besides those that are always asked."""
_PROCESSES = 0.05
"""The part of the records of which one question is asked by a process, too: it takes as long as sixty that are not."""


_Answers = Sequence[tuple[int | None, str]]
"""Exit codes and digests."""


def run(bout: Bout) -> None:
    """Damage a copy of a record, ask it everything, and check how each question ended."""
    import_everything()
    records = _Records(make_records(bout.folder / "records"), bout.folder)
    for case in CORPUS:
        if bout.stops_when_broken and not bout.goes_on():
            return
        with records.copy(case.record) as folder:
            damage = case.damage(folder)
            records.compare(bout, case.record, folder, damage)
            _ask(bout, case.record, folder, damage, case.questions)
    while bout.goes_on():
        name = bout.random.choice(sorted(records.made))
        with records.copy(name) as folder:
            damage = spoil(folder, bout.random)
            records.compare(bout, name, folder, damage)
            _ask(bout, name, folder, damage, questions(bout.random, _QUESTIONS))
            if bout.random.random() < _PROCESSES:
                _start(bout, f"{name}, {damage.what}", folder)


class _Records:
    """The records, and what is answered of symbols while nothing is damaged."""

    def __init__(self, made: Mapping[str, Path], scratch: Path) -> None:
        self.made = made
        self._scratch = scratch
        self._whole: dict[tuple[str, str], _Answers] = {}

    @contextmanager
    def copy(self, name: str, place: str = "damaged") -> Iterator[Path]:
        """Yield a copy of a record, and remove it after the block."""
        folder = Path(shutil.copytree(self.made[name], self._scratch / place, symlinks=True))
        try:
            yield folder
        finally:
            for path, _, _ in os.walk(folder):
                Path(path).chmod(0o700)
            shutil.rmtree(folder)

    def compare(self, bout: Bout, name: str, damaged: Path, damage: Damage) -> None:
        """Check that what is kept of a symbol is answered as before; where parts are missing, it may be refused."""
        symbol = bout.random.choice(SYMBOLS) if damage.lacks_parts else damage.spares
        if symbol is None:
            return
        found, whole = _all_of(damaged, symbol), self._all_of_whole(name, symbol)
        for words, one, before in zip(all_of(symbol), found, whole, strict=True):
            if one != before and not (damage.lacks_parts and one[0] == ExitCode.FAILED):
                why = "nothing says that rows are missing" if damage.lacks_parts else "nothing of it is damaged"
                bout.broken(f"{name}, {damage.what}: {' '.join(words)}: not as before, and {why}")

    def _all_of_whole(self, name: str, symbol: str) -> _Answers:
        if (name, symbol) not in self._whole:
            with self.copy(name, "whole") as folder:
                self._whole[name, symbol] = _all_of(folder, symbol)
        return self._whole[name, symbol]


def _all_of(folder: Path, symbol: str) -> _Answers:
    """Return the answers to the questions for all that is kept of a symbol."""
    return [(ended.code, ended.out) for ended in ask(folder, all_of(symbol))]


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


TRIAL = Trial(
    "damaged files",
    "one line and an exit code, whatever is in the files; what is whole can still be read; reading writes nothing",
    run,
    (
        Mutant(
            "a snapshot whose statement is missing is left out",
            "pipeline/store/parts.py",
            "    if not tables:\n",
            "    if True:\n",
        ),
        Mutant(
            "a view passes for a table",
            "pipeline/store/schema_objects.py",
            '        return f"is a {found.kind}, not a {wanted.kind}"\n',
            "        return None\n",
        ),
        Mutant(
            "the copy of an older database is checked as a backup is",
            "pipeline/store/older_schema.py",
            "            copy_database(database, copy)\n",
            "            from pipeline.store.backup import backup\n"
            "            copy.unlink()\n            backup(database, copy, now=now)\n",
        ),
        Mutant(
            "a value that cannot be there is a mistake of the program's",
            "pipeline/store/diagnosis.py",
            "    if not files or not 0 < files[0].st_size <= LARGEST:",
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
    share=2.5,
    short_attempts=3,
)
