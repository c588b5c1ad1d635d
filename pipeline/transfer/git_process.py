"""Git processes: starts git without anybody's configuration, bounds its memory, and ends it when it does not answer."""

import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Timer
from typing import IO

from pipeline.errors import Trouble
from pipeline.text import cut, printable

_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
_VARIABLES = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
"""No configuration but the repository's, and no network. An older git does not know GIT_NO_LAZY_FETCH, and would find
every protocol forbidden."""
CHUNK_BYTES = 65_536
_MEMORY = 1 << 30
"""Bytes that git may take, besides the files that it maps: it lists all that a commit changes before it prints it."""
_LOOKED_UP_WITHIN = 20.0
"""Seconds for git to look something up, which it does at once: it would wait for ever for a pipe among its files."""
_LONGEST_ERROR = 200


class _Silent(Trouble):
    """Git does not answer."""

    def __init__(self, seconds: float) -> None:
        problem = f"git cannot read the repository: it did not answer within {seconds:g} s"
        super().__init__(problem, remedy="look for a pipe or a device among its files")


class Git:
    """Git with variables of its own, in a folder of its own."""

    def __init__(self, program: str, scratch: Path, variables: dict[str, str]) -> None:
        """`program`: the path of git; `scratch`: a folder, in which it runs and its errors are kept."""
        self._program = program
        self._scratch = scratch
        self._running = ExitStack()
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        self._variables = kept | _VARIABLES | {"HOME": str(scratch), "XDG_CONFIG_HOME": str(scratch)} | variables

    def find(self, *words: str) -> str | None:
        """Return what git prints, without the end of its last line; None if it fails. Raise _Silent."""
        try:
            return self.answer(*words)
        except _Silent:
            raise
        except Trouble:
            return None

    def answer(self, *words: str, within: float = _LOOKED_UP_WITHIN) -> str:
        """Return what git prints, without the end of its last line. Raise Trouble, with what it says, if it fails."""
        with self.started(*words) as process, _killed_after(process, within) as is_killed:
            printed = b"".join(chunks(process))
            if process.wait():
                raise _Silent(within) if is_killed.is_set() else self.failure()
        return os.fsdecode(printed.removesuffix(b"\n"))

    @contextmanager
    def started(self, *words: str, stdin: IO[bytes] | int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
        """Start git, and end it after, or when `close` is called."""
        with ExitStack() as ended:
            with _signals_wait():
                process = self._start(*words, stdin=stdin)
                ended.callback(_end, process)
                self._running.callback(_end, process)
            yield process

    def close(self) -> None:
        """End all processes, as another thread may still wait for one."""
        self._running.close()

    def _start(self, *words: str, stdin: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start git. In a process group of its own: what Ctrl-C stops, the command decides."""
        with self._errors.open("ab") as errors:
            process = subprocess.Popen(  # noqa: S603 - no shell; the words are ours, and a branch begins with no hyphen
                [self._program, *words],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self._variables,
                cwd=self._scratch,
                process_group=0,
            )
        if hasattr(resource, "prlimit"):  # on Linux
            with suppress(OSError):  # it has ended
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        return process

    def failure(self) -> Trouble:
        """Return why git failed, in its own words."""
        said = self._errors.read_bytes()[-10 * _LONGEST_ERROR :].decode(errors="replace").strip().splitlines()
        why = said[-1].removeprefix("fatal: ").removeprefix("error: ") if said else "it ended early"
        return Trouble(f"git cannot read the repository: {cut(printable(why), _LONGEST_ERROR)}")

    @property
    def _errors(self) -> Path:
        return self._scratch / "errors"


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let signals that end the command wait: one that comes while git is started would leave it behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[Event]:
    """Kill a process if the block takes longer. What is yielded is set just before."""
    is_killed = Event()

    def kill() -> None:
        is_killed.set()
        process.kill()

    killer = Timer(seconds, kill)
    killer.daemon = True
    killer.start()
    try:
        yield is_killed
    finally:
        killer.cancel()


def chunks(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield what a process prints, as it comes."""
    assert process.stdout is not None, "opened with a pipe"
    while chunk := process.stdout.read(CHUNK_BYTES):
        yield chunk


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was not yet written
                stream.close()
