"""The stage: runs commands of the program in forks of a process that has loaded it, with the interposed library.

A fork runs a command in a tenth of the time that a new process would take, most of it to load.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Played:
    """How a command ended, and what it printed."""

    code: int
    """The exit code; of a signal, its number, negative."""
    out: str
    err: str

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.code == -signal.SIGKILL


class Stage:
    """Runs commands of the program, one at a time, and waits for each."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self._process = process
        self._output = output

    def play(
        self,
        folder: Path,
        *arguments: str,
        out: Path | None = None,
        stop_at: str | None = None,
        asks: str | None = None,
        **variables: str,
    ) -> Played:
        """Run a command in a folder, and return how it ended. It prints to `out`, if to another place than usual.

        When it prints the text `stop_at` to stderr, it gets SIGTERM; or when it has answered a client, who asks for the
        path `asks`: the answer is what it printed.
        """
        files = [self._output.with_suffix(suffix) for suffix in (".out", ".err")]
        order: dict[str, object] = {"folder": str(folder), "arguments": arguments, "variables": variables}
        order |= {"out": str(out or files[0]), "err": str(files[1]), "stop_at": stop_at, "asks": asks}
        code = self._order(order)
        printed = ["" if out else files[0].read_text(errors="replace"), files[1].read_text(errors="replace")]
        return Played(code, *printed)

    def load(self, *modules: str) -> None:
        """Load what commands import when they need it, so that each finds it loaded."""
        self._order({"load": modules})

    def _order(self, order: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@contextmanager
def stage(place: Path, environment: Mapping[str, str]) -> Iterator[Stage]:
    """Yield a stage; its process ends with the block. What is printed goes through files in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.torture.forks"],
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        yield Stage(process, place / "printed")
    finally:
        process.kill()
        process.communicate()
