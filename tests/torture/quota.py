"""Quota: no plan is exceeded, as an API counts it that enforces nothing, whatever is killed, put back or removed.

Left out is what docs/guarantees.md and docs/operations.md say cannot be known.
"""

import gc
import importlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.quota.limits import Limit
from tests.torture.counting_api import Counted, CountingApi, counting_api
from tests.torture.forks import run_command
from tests.torture.trial import Bout, Mutant, Trial

_A_DAY = ("3/day", "6/day", "12/day")
_LIMITS = ("2/second", "3/second", "8/minute", *_A_DAY)
_SYMBOLS = [f"S{number}" for number in range(16)]
_LONGEST = 2.5
"""Seconds until a command is killed at the latest."""
_CONFIGURATION = """
database = "overviews.db"
symbols.list = {symbols}
[source]
base_url = "{url}"
limits = {limits}
concurrency = {concurrency}
timeout_seconds = 5
"""
_LOADED = ("collect", "backup", "restore", "doctor")


class _Life:
    """A database, from its first run on, and the plans that it was collected by."""

    def __init__(self, bout: Bout, api: CountingApi, number: int) -> None:
        self.bout = bout
        self.api = api
        self.name = f"life{number}"
        self.folder = bout.folder / self.name
        self.database = self.folder / "overviews.db"
        self.plans: list[tuple[Limit, ...]] = []
        self.done: list[str] = []
        """What was done, for whoever tries it again."""
        self._running: dict[int, str] = {}
        self._errors = self._counted = 0
        (self.folder / "config").mkdir(parents=True)

    def plan(self, limits: Sequence[str] | None = None, *, concurrency: int | None = None) -> None:
        """Configure another plan: these limits, or some at random, or none. So many workers, or some."""
        random = self.bout.random
        if limits is None:
            limits = [] if random.random() < 0.2 else random.sample(_LIMITS, random.choice((1, 1, 2)))
        url = self.api.url(self.name, len(self.plans))
        text = _CONFIGURATION.format(
            symbols=json.dumps(_SYMBOLS),
            url=url,
            limits=json.dumps([*limits]),
            concurrency=concurrency or random.choice((2, 8)),
        )
        (self.folder / "config" / "pipeline.toml").write_text(text)
        self.plans.append(tuple(map(Limit.parse, limits)))
        self.done.append(f"plan {[*limits]}")

    def start(self, *arguments: str) -> None:
        """Start a command in a fork of this process, which has loaded it."""
        self._errors += 1
        errors = str(self.folder / f"errors.{self._errors}")
        if (child := os.fork()) == 0:
            environment = self.bout.environment(ALPHAVANTAGE_API_KEY="S3CR3TK3YS3CR3TK")
            run_command(str(self.folder), list(arguments), environment, os.devnull, errors)
        self._running[child] = errors

    def wait_for(self, requests: int) -> None:
        """Wait until so many requests more were counted, or nothing runs any more, but not for long."""
        counted, ends = self.api.count() + requests, time.monotonic() + _LONGEST
        while time.monotonic() < ends and self.api.count() < counted and any(map(_runs, self._running)):
            time.sleep(0.002)

    def end(self, *, within: float = _LONGEST) -> None:
        """Wait for all that runs, and kill what does not end in time."""
        ends = time.monotonic() + within
        for child, errors in list(self._running.items()):
            while os.waitpid(child, os.WNOHANG) == (0, 0):
                if time.monotonic() > ends:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    self.bout.count("kills")
                    break
                time.sleep(0.004)
            text = Path(errors).read_text(errors="replace") if os.path.exists(errors) else ""  # noqa: PTH110
            if "Traceback" in text:
                self.bout.broken(f"{self.story()}: {text.strip().splitlines()[-1][:300]}")
        self._running.clear()

    def story(self) -> str:
        """Return what was done, in one line."""
        return f"seed {self.bout.seed}, {self.name}: {', '.join(self.done)}"

    def keeps_its_plans(self) -> bool:
        """Return whether no plan was exceeded so far, and note one that was."""
        counted = self.api.counted(self.name)
        self.bout.count("requests", len(counted) - self._counted)
        self._counted = len(counted)
        problem = exceeded(counted, self.plans)
        if problem is not None:
            self.bout.broken(f"{self.story()}: {problem}")
        return problem is None


def _runs(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def exceeded(counted: Sequence[Counted], plans: Sequence[tuple[Limit, ...]]) -> str | None:
    """Return which limit of the plan that it was sent by a request exceeds, None if none does."""
    for number, one in enumerate(counted):
        for limit in plans[one.plan]:
            since = one.at - int(limit.period.total_seconds() * 1e9)
            within = sum(1 for other in counted[: number + 1] if other.at > since)
            if within > limit.count:
                return f"{within} requests within {limit}"
    return None


def _collect(life: _Life) -> None:
    """Collect, to the end or until it is killed: after some time, or with so many requests out."""
    processes = life.bout.random.choice((1, 1, 2))
    life.done.append(f"{processes} collect")
    for _ in range(processes):
        life.start("collect", "--force", "-q")
    _kill_sometime(life)


def _kill_sometime(life: _Life) -> None:
    random = life.bout.random
    if random.random() < 0.6:
        life.wait_for(more := random.choice((1, 3, 5)))
        life.done[-1] += f" killed after {more} requests"
        life.end(within=0)
    else:
        life.end(within=random.uniform(0.3, _LONGEST))


def _collect_without_lock(life: _Life) -> None:
    """Remove the lock file of a run, and collect once more at the same time."""
    life.plan(["12/day"], concurrency=2)  # so that both have something to request
    life.done.append("collect, its lock removed, collect")
    life.start("collect", "--force", "-q")
    life.wait_for(1)
    (life.folder / "overviews.db.lock").unlink(missing_ok=True)
    life.start("collect", "--force", "-q")
    life.end()
    life.bout.count("locks removed")


def _copy_back(life: _Life) -> None:
    """Copy the database, by the command also while a run goes on; collect; put the copy back, as people do."""
    random = life.bout.random
    if not life.database.exists() and random.random() < 0.7:  # so that it has something to request afterwards
        life.plan(["12/day"])
        life.done.append("collect 3")
        life.start("collect", "--force", "-q", "--max-requests", "3")
        life.end()
    elif not life.database.exists():
        _collect(life)
    copy = life.folder / "copy.db"
    _remove(copy)
    if by_command := random.random() < 0.5:
        life.start("collect", "--force", "-q")
        time.sleep(random.uniform(0, 0.3))
        life.start("backup", "copy.db")
        life.end()
    else:
        _copy(life.database, copy)
    life.done.append(f"copy made {'by backup, during a run' if by_command else 'by cp'}")
    _collect(life)
    if not copy.exists():
        return
    if by_command and random.random() < 0.3:
        shutil.copyfile(copy, life.database)  # beside the log of what was there
        life.done.append("put back beside the log")
        life.start("collect", "--force", "-q")
        life.end()
    _remove(life.database)
    _copy(copy, life.database)
    life.done.append("put back")
    life.bout.count("copies put back")
    _collect(life)


def _copy(database: Path, to: Path) -> None:
    for suffix in ("", "-wal"):
        if (part := database.with_name(database.name + suffix)).exists():
            shutil.copyfile(part, to.with_name(to.name + suffix))


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _collect_without_limits(life: _Life) -> None:
    """Kill a run without limits, and collect by a plan that has some."""
    life.plan([])
    _collect(life)
    life.plan([life.bout.random.choice(_A_DAY)])
    _collect(life)


def _collect_by_the_second(life: _Life) -> None:
    life.plan(["2/second"])
    life.done.append("collect")
    life.start("collect", "--force", "-q")
    life.end()


_BEGINNINGS = (_collect_without_limits, _collect_by_the_second, _copy_back, _collect_without_lock)
"""Each in turn; but for one by a plan whose windows stay full."""
_ACTIONS: tuple[Callable[[_Life], None], ...] = (
    _collect,
    _collect,
    _collect_without_lock,
    _collect_without_limits,
    _copy_back,
    _Life.plan,
)


def run(bout: Bout) -> None:
    """Let databases live, each through a few actions at random."""
    for name in (*(f"pipeline.cli.commands.{command}" for command in _LOADED), "pipeline.cli.error_output"):
        importlib.import_module(name)
    gc.freeze()
    with counting_api(bout.folder, bout.seed) as api:
        number = 0
        while bout.goes_on():
            number += 1
            life = _Life(bout, api, number)
            life.plan([bout.random.choice(_A_DAY)])
            more = bout.random.choices(_ACTIONS, k=bout.random.randint(0, 3))
            for action in (_BEGINNINGS[number % len(_BEGINNINGS) - 1], _collect, *more):
                action(life)
                if not (life.keeps_its_plans() and bout.goes_on()):
                    break
            bout.count("databases")
            shutil.rmtree(life.folder)


TRIAL = Trial(
    name="quota",
    promise="no plan is exceeded, as the API counts",
    run=run,
    short_attempts=6,
    mutants=(
        Mutant(
            "a request leaves without its slot",
            "pipeline/quota/ledger.py",
            "        if account.limits:\n            try:",
            "        if False:\n            try:",
        ),
        Mutant(
            "what a killed run without limits had out is forgotten",
            "pipeline/store/in_flight.py",
            "[row for found in rows for row in _as_requests(*found, now=now)]",
            "[]",
        ),
        Mutant(
            "windows count from the reservation",
            "pipeline/quota/account.py",
            "self.windows.end(ended)",
            "self.windows.end(slot.taken)",
        ),
        Mutant(
            "an older copy of the database passes for the newest",
            "pipeline/store/older_copy.py",
            " or newest_run(db) < last.id",
            "",
        ),
        Mutant(
            "a run goes on without its lock",
            "pipeline/store/writer.py",
            "if is_lost(self._lock):",
            "if False:",
        ),
    ),
)
