"""The documentation's commands: each `$ ` line of a console block does what the page says."""

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
import psycopg
import pytest

from tests.docs.generate import ROOT, all_commands, command_of, pages
from tests.support.beside import beside
from tests.support.commands import KEY, PIPELINE, call
from tests.support.places import place_on_loopback
from tests.support.postgres import binaries
from tests.support.repositories import Making, document
from tests.support.sandbox import serving_beside

yaml = pytest.importorskip("yaml", reason="no YAML library: apprise, a dev dependency, brings one")

_FOREVER = {"follow", "mcp", "run", "sandbox", "serve"}
"""Commands that run until they are stopped: their words are checked, and other tests start them."""
_EXITS = {"status": {0, 7}, "health": {7}, "doctor": {0, 1}, "fleet": {0, 7}}
"""Exit codes other than 0: the example database is old, and neither a daemon runs on it nor a member in the fleet."""
_NOT_EVERYWHERE = {"sqlite3"}
"""Programs that not every machine has: skipped where it has not."""
_ELSEWHERE = {"cd", "python3", ".", "$EDITOR", "systemctl", "journalctl"}
"""What needs another machine or a person."""


def lines_of(page: Path) -> list[str]:
    """Return the commands of a page's console blocks, without their comments."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """Serve the stand-in API, and return its address."""
    with serving_beside() as served:
        yield served.base_url


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    """Serve what notifications are sent to, and return its address."""
    with beside(place_on_loopback) as place:
        yield place.notify_url


@pytest.fixture
def folder(answerable: Path, tmp_path: Path, receiver: str) -> Path:
    """Return a folder as the pages assume it: a configuration, a database, some archives, a place for backups."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / ".env").touch(mode=0o600)
    (tmp_path / ".env").write_text(f"PIPELINE_NOTIFY_URLS={receiver}\n")
    (tmp_path / "backups").mkdir()
    (tmp_path / "trades.csv").write_text("symbol,time\nAAPL,2026-03-14\n")
    document = {"Symbol": "IBM", "Name": "An example", "PERatio": "20"}
    (tmp_path / "2024-03-14").mkdir()
    (tmp_path / "2024-03-14" / "IBM.json").write_text(json.dumps(document))
    (tmp_path / "archive" / "IBM").mkdir(parents=True)
    (tmp_path / "archive" / "IBM" / "2024-03-14.json").write_text(json.dumps(document))
    line = json.dumps({"symbol": "IBM", "observed_at": "2024-03-13T18:00:00Z", "document": document})
    (tmp_path / "old").mkdir()
    for name in ("daily.jsonl", "old/2024.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
    _collector(tmp_path / "collector")
    return tmp_path


def _collector(folder: Path) -> None:
    """Make a repository with a file for each of the pages' patterns."""
    making = Making(folder)
    overview = document(PERatio="20")
    files = {"data/IBM.json": overview, "2024-03-14/IBM.json": overview, "all.json": b"[" + overview + b"]"}
    making.commit(files)
    making.commit({"data/IBM_overview.json": overview}, branch="data")
    making.make()


@pytest.mark.process
@pytest.mark.parametrize("page", list(pages()), ids=lambda page: page.name)
def test_every_command_of_a_page_works(folder: Path, api: str, page: Path, request: pytest.FixtureRequest) -> None:
    """In order, since one may need what the one before it made."""
    with _fleet(page, request) as fleet:
        for line in lines_of(page):
            _try(line.replace("/mnt/backups", str(folder / "backups")), folder, api, fleet)


@contextmanager
def _fleet(page: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Yield the variables by which PostgreSQL's programs and ours find a server, and remove what the page makes there.

    Of pages about other things none.
    """
    if page.name != "fleet.md":
        yield {}
        return
    databases = request.getfixturevalue("postgres")
    url = urlsplit(databases.server.url("fleet"))
    found = {"PGHOST": str(url.hostname), "PGPORT": str(url.port), "PGUSER": str(url.username)}
    try:
        yield {
            **found,
            "PIPELINE_FLEET_URL": f"postgresql://fleet:a-long-one@{url.hostname}:{url.port}/fleet",
            "PATH": f"{binaries()}:{os.environ['PATH']}",
        }
    finally:
        with psycopg.connect(databases.server.url(), autocommit=True) as db:
            for name in ("fleet", "restored"):
                db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            for name in ("fleet", "analyst"):
                db.execute(f"DROP ROLE IF EXISTS {name}")


def _try(line: str, folder: Path, base_url: str, fleet: Mapping[str, str]) -> None:
    words = shlex.split(line)
    variables = {
        "ALPHAVANTAGE_API_KEY": KEY,
        "PIPELINE_SOURCE__BASE_URL": base_url,
        "PIPELINE_SOURCE__PLAN": "premium-1200",
    } | {name: value for name, value in fleet.items() if name == "PIPELINE_FLEET_URL"}
    while found := re.fullmatch(r"(\w+)=(.*)", words[0]):
        variables[found[1]] = found[2]
        words.pop(0)
    first = words[0].rpartition("/")[2]
    if first == "make":
        recipes = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert words[1] in recipes, line
    elif first == "pip":
        files = [word for word in words if word.endswith(".txt")]
        assert all((ROOT / name).exists() for name in files), line
    elif first == "docker":
        if words[1] == "compose":
            services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
            assert "exec" not in words or words[words.index("exec") + 1] in services, line
    elif first in _ELSEWHERE or (first in _NOT_EVERYWHERE and shutil.which(first) is None):
        pass
    elif first == "pipeline" and _is_only_read(words, fleet):
        name, rest = _command_of_words(words[1:])
        command_of(name).make_context(name, rest, parent=_parent())
    elif first == "pipeline" and not set(line) & set("|>"):
        ended = call(folder, *words[1:], **variables)
        assert ended.code in _EXITS.get(words[1], {0}), (line, ended.err)
    else:
        if first == "datasette":  # answers one request, with a query that only the metadata has, instead of serving
            line = f"{sys.executable} -m {line} --get /overviews/latest.json"
        path = f"{PIPELINE.parent}:{fleet.get('PATH', os.environ['PATH'])}"
        paths = {**os.environ, **fleet, **variables, "HOME": str(folder), "PATH": path, "SSL_CERT_FILE": os.devnull}
        done = subprocess.run(
            ["bash", "-euc", line], cwd=folder, env=paths, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, (line, done.stderr.decode())


def _command_of_words(words: list[str]) -> tuple[str, list[str]]:
    """Return the command that words name, which may be one below another, and the rest of them."""
    length = 2 if " ".join(words[:2]) in all_commands() else 1
    return " ".join(words[:length]), words[length:]


def _is_only_read(words: Sequence[str], fleet: Mapping[str, str]) -> bool:
    """Whether only the words of a command are checked: it runs until stopped, or needs a fleet that is not there."""
    return (words[1] == "fleet" and not fleet) or (words[1] in _FOREVER and "--once" not in words)


def _parent() -> click.Context:
    """Return a context with the names of the help option: a command keeps those of its first context."""
    return click.Context(click.Group("pipeline"), help_option_names=["-h", "--help"])


def test_what_the_demo_says_fits_80_columns() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    said = re.findall(r"^\t(?:say|run|echo) (.+); \\$", makefile, flags=re.MULTILINE)

    assert len(said) > 10
    shown = [line.strip("'\"") if line[0] in "'\"" else f"$ pipeline {line}" for line in said]
    form, *proposed = makefile.partition("printf '  ../$(BIN)/pipeline ")[2].partition("say ")[0].splitlines()
    width = int(form.partition("%-")[2].partition("s")[0])
    words = [shlex.split(line.strip().removesuffix("\\").rstrip("; ")) for line in proposed if line.strip()]
    shown += [f"  ../.venv/bin/pipeline {command:{width}} {does}" for command, does in words]
    assert len(words) > 5
    assert [line for line in shown if len(line) > 80] == []
