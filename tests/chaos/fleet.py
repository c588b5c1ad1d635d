"""A fleet under test: PostgreSQL, the API that counts, machines; and the way from a storm to what is left of it."""

import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from pipeline.fleet.install import install
from pipeline.quota.limits import Limit
from tests.chaos import checks
from tests.chaos.api import counting_api
from tests.chaos.checks import Finding
from tests.chaos.counting import requests_in
from tests.chaos.machines import Machine, Wanted
from tests.chaos.network import API, POSTGRES, Network
from tests.support.postgres import Postgres, running_server
from tests.support.tls import authority

PASSWORD = "a-password-that-none-may-see"
KEYS = {"one": "Q7ZB3XKD9WJH4TMV", "two": "M2FRLC8YNPSA5GUE"}
_DATABASE = "fleet"
_AUTHORITY = "authority.pem"
_NOTHING: Mapping[str, str] = {}
_LISTENING = re.compile(r'"address": "(http://127\.0\.0\.1:\d+)"')


@dataclass(slots=True)
class Fleet:
    """What is under test."""

    folder: Path
    server: Postgres
    """The one that takes writes."""
    wanted: Wanted
    api_log: Path
    standby: Postgres | None = None
    machines: list[Machine] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    """Metrics and health, as the machines showed them."""

    def add(
        self, name: str, holds: Sequence[str], *, before: Sequence[str] = (), environment: Mapping[str, str] = _NOTHING
    ) -> Machine:
        """Return another machine, which is not started yet. `before`: what its commands begin with."""
        trust = {"SSL_CERT_FILE": str(self.folder / _AUTHORITY)} if (self.folder / _AUTHORITY).exists() else {}
        machine = Machine(self.folder / name, self.wanted, holds, before, {**trust, **environment})
        self.machines.append(machine)
        return machine

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.server.url(_DATABASE), autocommit=True) as db:
            yield db

    def settle(self, patience: float) -> float:
        """Let all machines finish what was begun, then stop them. Return how many seconds that took.

        Fail if there is no moment at which nothing is under way.
        """
        began = time.monotonic()
        for machine in self.machines:
            if not machine.is_running:
                machine.start()
        while True:
            self.wait(self._is_quiet, patience - (time.monotonic() - began), "runs do not end")
            self.look()
            self.stop()
            if self._is_quiet():
                return time.monotonic() - began
            for machine in self.machines:
                machine.start()

    def stop(self) -> None:
        """Stop all machines in order."""
        for machine in self.machines:
            machine.ask_to_stop()
        codes = {machine.name: machine.ended() for machine in self.machines}
        assert set(codes.values()) <= {0}, f"exit codes {codes}: {self.tails()}"

    def kill(self) -> None:
        """Kill all machines that run."""
        for machine in self.machines:
            machine.kill()

    def look(self) -> None:
        """Keep what the machines show over HTTP."""
        for machine in self.machines:
            if found := _LISTENING.findall(machine.log.read_text()):
                for path in ("/metrics", "/status", "/health"):
                    with suppress(OSError), urllib.request.urlopen(found[-1] + path, timeout=10) as page:
                        self.pages.append(page.read().decode())

    def wait(self, condition: Callable[[], bool], patience: float, problem: str) -> None:
        """Wait until something is so. Fail if it does not become so."""
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, f"{problem} within {patience:.0f} s: {self.tails()}"
            time.sleep(0.2)

    def wait_for(self, condition: str, patience: float = 90) -> None:
        """Wait until a condition in PostgreSQL's tables holds: what a SELECT returns."""
        self.wait(lambda: self.value(f"SELECT {condition}") is True, patience, f"not so: {condition}")

    def value(self, query: str) -> Any:
        """Return the one value of a query; None while PostgreSQL cannot be reached."""
        with suppress(psycopg.OperationalError), self.connected() as db:
            row = db.execute(query.encode()).fetchone()
            return row[0] if row else None
        return None

    def _is_quiet(self) -> bool:
        return self.value("""
            SELECT NOT EXISTS (SELECT 1 FROM fleet.runs WHERE status = 'running')
               AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE task_name = 'collect_batch')
               AND EXISTS (SELECT 1 FROM fleet.runs)
        """) is True  # fmt: skip

    def findings(self) -> list[Finding]:
        """Return what is found of all that was promised. Every machine has stopped; each catches up first."""
        undisturbed = self.catch_up()
        requests = requests_in(self.api_log)
        limits = [Limit.parse(limit) for limit in self.wanted.limits]
        with self.connected() as db:
            return [
                *checks.of_the_limits(requests, limits),
                *checks.of_the_slots(requests, db),
                *checks.of_the_log(db),
                *checks.of_the_runs(db),
                *checks.of_the_files(db, self.machines, undisturbed),
                *checks.of_the_logs(self.machines),
                checks.of_secrets(
                    db, [machine.folder for machine in self.machines], self.pages, [*KEYS.values(), PASSWORD]
                ),
            ]

    def catch_up(self) -> Machine:
        """Let every machine catch up, and return another one, which reads the log from its start."""
        undisturbed = Machine(self.folder / "undisturbed", self.wanted, ())
        for machine in [*self.machines, undisturbed]:
            done = machine.run("follow", "--once")
            assert done.returncode == 0, f"{machine.name} does not catch up: {done.stderr}"
        return undisturbed

    def tails(self) -> str:
        """Return the last lines of each machine's log."""
        parts = [
            f"\n== {machine.name}\n" + "\n".join(machine.log.read_text().splitlines()[-12:])
            for machine in self.machines
            if machine.log.exists()
        ]
        return "".join(parts)


@contextmanager
def fleet(
    folder: Path,
    limits: Sequence[str],
    symbols: Sequence[str],
    *,
    network: Network | None = None,
    has_standby: bool = False,
    latency: float = 0.1,
    **options: Any,
) -> Iterator[Fleet]:
    """Run PostgreSQL and the API while the block runs, and yield a fleet without machines.

    They are on loopback, or at the addresses of a network. Whatever still runs at the end is killed.
    """
    log = folder / "api.log"
    at, api_at = (POSTGRES, API) if network else ("127.0.0.1", "127.0.0.1")
    certificate = write_certificate(folder) if network else None
    with (
        running_server(is_durable=True, also_at=at if network else None) as server,
        counting_api(log, limits, host=api_at, certificate=certificate, latency=latency) as api,
        ExitStack() as stack,
    ):
        with psycopg.connect(server.url(), autocommit=True) as db:
            db.execute(f"CREATE ROLE passworded SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
            db.execute(f"CREATE DATABASE {_DATABASE} OWNER passworded")
        with psycopg.connect(server.url(_DATABASE), autocommit=True) as db:
            install(db)
        standby = server.standby(server.folder.parent / "standby") if has_standby else None
        if standby is not None:
            stack.callback(standby.crash)
        hosts = ",".join(f"{at}:{one.port}" for one in (server, standby) if one is not None)
        attributes = "?target_session_attrs=read-write" if has_standby else ""
        url = f"postgresql://passworded:{PASSWORD}@{hosts}/{_DATABASE}{attributes}"
        fleet = Fleet(folder, server, Wanted(api, url, KEYS, limits, symbols, **options), log, standby)
        stack.callback(fleet.kill)
        yield fleet


def write_certificate(folder: Path) -> Path:
    """Write the API's certificate with its key, and return it; beside it, the authority for machines to trust."""
    authority().cert_pem.write_to_path(str(folder / _AUTHORITY))
    issued = authority().issue_cert(API)
    target = folder / "api.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(target))
    return target
