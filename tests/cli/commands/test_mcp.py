"""`pipeline mcp`: the record as tools over standard input and output. `tests/docs/test_agents` starts it by the SDK."""

import asyncio
import json
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.commands import PIPELINE, assert_refused, call, environment
from tests.support.observations import database_of, seen

pytestmark = pytest.mark.skipif(find_spec("mcp") is None, reason="the extra `mcp` is not installed")

_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.fixture(scope="module")
def database() -> Path:
    """A record of a company that changed once."""
    return database_of([seen(0, PERatio="10"), seen(24, PERatio="12")])


@pytest.mark.process
async def test_a_signal_ends_it_while_it_waits_and_only_the_protocol_is_on_stdout(
    database: Path, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        str(PIPELINE), "-v", "mcp", "--database", str(database), cwd=tmp_path, env=environment(tmp_path),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(60):
        process.stdin.write(b"no JSON\n" + json.dumps(_HELLO).encode() + b"\n")
        answer = json.loads(await process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest, said = await process.stdout.read(), await process.stderr.read()

        assert await process.wait() == ExitCode.DONE
    assert answer["result"]["serverInfo"]["name"] == "overview-pipeline"
    assert rest == b""
    assert b"answering agents" in said
    assert b"Traceback" not in said


def test_it_ends_when_its_client_closes_the_input(database: Path, tmp_path: Path) -> None:
    ended = call(tmp_path, "mcp", "--database", str(database))  # pytest closed it

    assert (ended.code, ended.out) == (ExitCode.DONE, "")
    assert "about now and any past instant" in ended.err


def test_it_says_what_it_is_locked_to(database: Path, tmp_path: Path) -> None:
    ended = call(tmp_path, "mcp", "--database", str(database), "--as-of", "2026-03-14")

    assert "2026-03-14 23:59:59 UTC and before" in ended.err


def test_without_the_extra_it_names_the_pip_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pipeline.agents.stdio", "pipeline.agents.server"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)

    assert_refused(call(tmp_path, "mcp"), ExitCode.REFUSED, "pip install 'mcp>=2.3,<3'")


def test_a_lock_that_is_no_instant_is_a_usage_error(tmp_path: Path) -> None:
    assert_refused(call(tmp_path, "mcp", "--as-of", "soon"), ExitCode.USAGE, "soon", "2026-03-14")


def test_a_lock_in_the_future_is_a_usage_error_and_one_of_today_is_the_start(database: Path, tmp_path: Path) -> None:
    words = ("mcp", "--database", str(database), "--as-of")

    assert_refused(call(tmp_path, *words, "2199-01-01"), ExitCode.USAGE, "--as-of", "in the future", "now")
    assert "UTC, when this server started, and before" in call(tmp_path, *words, "today").err
    assert "about 2026-03-14 23:59:59 UTC and before" in call(tmp_path, *words, "2026-03-14").err
