"""Runs trials in processes of their own: on the project as it is, and on copies of it with a mistake each."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tests.torture.trial import Mutant, Result, Trial, mutated

PROJECT = Path(__file__).parents[2]
_MUTABLE = ("pipeline", "migrations")
"""Folders that a mutant has copies of; the rest it shares."""
_LONGER = 120.0
"""Seconds that a trial may take beyond its time: an attempt under way ends first."""
_MEMORY = Path("/dev/shm")
_ROOM = 2 * 2**30

_decode = msgspec.json.Decoder(Result).decode


class TrialFailed(Exception):
    """A trial did not come to a result. Its text has what it printed."""


@contextmanager
def tree_with(mutant: Mutant | None) -> Iterator[Path]:
    """Yield the project, or a copy of it with a mistake. Raise ValueError if the mutant does not fit any more."""
    if mutant is None:
        yield PROJECT
        return
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        for entry in PROJECT.iterdir():
            if entry.name in _MUTABLE:
                shutil.copytree(entry, tree / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (tree / entry.name).symlink_to(entry)
        file = tree / mutant.file
        file.write_text(mutated({mutant.file: file.read_text(encoding="utf-8")}, mutant), encoding="utf-8")
        yield tree


def run_trial(
    trial: Trial, *, seconds: float, seed: int, attempts: int | None = None, mutant: Mutant | None = None
) -> Result:
    """Return what a trial finds; with a mutant, it ends with the first that it finds. Raise TrialFailed.

    It ends after that many attempts, or once its seconds have passed.
    """
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    where = _MEMORY if in_memory else None
    with tree_with(mutant) as tree, tempfile.TemporaryDirectory(prefix="torture-", dir=where) as folder:
        command = [sys.executable, "-m", "tests.torture.child", trial.name, folder]
        command += ["--seconds", str(seconds), "--seed", str(seed)]
        if attempts is not None:
            command += ["--attempts", str(attempts)]
        if mutant is not None:
            command.append("--until-broken")
        ended = _run(command, tree, seconds + _LONGER)
    if ended.returncode or not ended.stdout.strip():
        raise TrialFailed(f"{trial.name} ended with {ended.returncode}: {ended.stderr[-3000:]}")
    return _decode(ended.stdout.splitlines()[-1])


def _run(command: list[str], tree: Path, within: float) -> subprocess.CompletedProcess[str]:
    """Run a command in a process group of its own, which ends with it, or when its time is over."""
    process = subprocess.Popen(
        command, cwd=tree, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, errors = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        _kill_group(process.pid)
        out, errors = process.communicate()
        errors += f"\nnot ended after {within:.0f} s"
    finally:
        _kill_group(process.pid)
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all have ended
        os.killpg(leader, signal.SIGKILL)
