"""Machines: each a folder with a configuration and a database of its own, and the processes that run in it."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux: the signal that a process gets when its parent ends."""
_PATIENCE = 60.0
"""Seconds for a machine to end in order."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the machines of a fleet have in common."""

    api: str
    fleet_url: str
    keys: Mapping[str, str]
    """The keys, by name. All of them have the same limits."""
    limits: Sequence[str]
    symbols: Sequence[str]
    crons: Sequence[str] = ("* * * * *",)
    timeout: int = 5
    """Seconds for a request."""

    def configuration(self, name: str) -> str:
        """Return the configuration of a machine of that name."""
        limits = ", ".join(f'"{limit}"' for limit in self.limits)
        keys = "".join(f'[[fleet.keys]]\nname = "{key}"\nlimits = [{limits}]\n' for key in self.keys)
        crons = "".join(f'[[schedule]]\ncron = "{cron}"\ntimezone = "UTC"\n' for cron in self.crons)
        symbols = ", ".join(f'"{symbol}"' for symbol in self.symbols)
        return (
            f'database = "overviews.db"\n[symbols]\nlist = [{symbols}]\n'
            f'[source]\nbase_url = "{self.api}"\ntimeout_seconds = {self.timeout}\n'
            f'{crons}[status]\nlisten = "127.0.0.1:0"\n[fleet]\nname = "{name}"\n{keys}'
        )


@dataclass(slots=True)
class Machine:
    """One machine of a fleet. Its processes end with the one that started them."""

    folder: Path
    wanted: Wanted
    holds: Sequence[str]
    """The names of the keys that it has."""
    before: Sequence[str] = ()
    """What its commands begin with, such as that which runs them in a namespace."""
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "pipeline.toml").write_text(self.wanted.configuration(self.name))
        secrets = [f"ALPHAVANTAGE_API_KEY_{name.upper()}={self.wanted.keys[name]}" for name in self.holds]
        secrets.append(f"PIPELINE_FLEET_URL={self.wanted.fleet_url}")
        dotenv = self.folder / ".env"
        dotenv.write_text("".join(f"{secret}\n" for secret in secrets))
        dotenv.chmod(0o600)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def database(self) -> Path:
        return self.folder / "overviews.db"

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder / "log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *command: str) -> None:
        """Start `pipeline run`, or another command."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(*(command or ("run",))), cwd=self.folder, env=self._variables(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - it takes no lock
            )  # fmt: skip

    def kill(self) -> None:
        """End its process as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let nothing of it run, until `thaw`. Its clock goes on, and so do its connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Ask it to end in order."""
        self._signal(signal.SIGTERM)

    def ended(self) -> int | None:
        """Return its exit code once it has ended; None if it did not, and had to be killed."""
        assert self._process is not None
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def run(self, *command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._command(*command), cwd=self.folder, env=self._variables(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=timeout, preexec_fn=_end_with_parent,
        )  # fmt: skip

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _command(self, *command: str) -> list[str]:
        program = Path(sys.executable).with_name("pipeline")
        return [*self.before, str(program), "--config", "pipeline.toml", *command]

    def _variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIPELINE_", "ALPHAVANTAGE"))}
        return {**kept, **self.environment}


def _end_with_parent() -> None:
    """Ask the system to kill this process when the one that started it ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
