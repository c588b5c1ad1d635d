"""Standard input and output: a server answers until its input ends, a signal ends that, or nobody reads its answers."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType

import pytest
import structlog

from pipeline import logs
from tests.support.agents import record_of
from tests.support.observations import after

_HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
_MESSAGES = [
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": _HELLO},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "companies", "arguments": {"at": "now"}}},
]
_LINES = b"no JSON\n" + b"".join(json.dumps(one).encode() + b"\n" for one in _MESSAGES)


@contextmanager
def pipes() -> Iterator[tuple[int, int, int]]:
    """Yield the server's input, the client's end of it, and the client's end of this process's standard output."""
    read_by_server, written_by_client = os.pipe()
    read_by_client, written_by_server = os.pipe()
    out = TextIOWrapper(os.fdopen(written_by_server, "wb"), encoding="utf-8")
    logs.configure(logging.INFO, readable=True)  # to stderr, as the command does
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)  # not in a fixture: pytest puts its own in place when the test begins
        yield read_by_server, written_by_client, read_by_client
    structlog.reset_defaults()
    os.close(read_by_server)
    with suppress(BrokenPipeError):
        out.close()


@pytest.fixture
def stdio() -> ModuleType:
    return import_module("pipeline.agents.stdio")  # not before: it takes half a second, and each worker collects this


async def test_it_answers_until_its_input_ends(known: Path, stdio: ModuleType) -> None:
    with pipes() as (received, sent, answered), os.fdopen(answered) as answers:
        os.write(sent, _LINES)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(stdio.serve(record_of(known, now=after(96)), stdio.StoppableInput(received)))
            hello, answer = [json.loads(await asyncio.to_thread(answers.readline)) for _ in range(2)]
            os.close(sent)

    assert hello["result"]["protocolVersion"] == "2025-06-18"
    assert answer["result"]["structuredContent"]["total"] == 3


async def test_it_ends_while_it_waits_for_its_client_if_a_signal_asks_for_it(known: Path, stdio: ModuleType) -> None:
    with pipes() as (received, sent, answered):
        stoppable = stdio.StoppableInput(received)
        serving = asyncio.create_task(stdio.serve(record_of(known, now=after(96)), stoppable))
        await asyncio.sleep(0)

        stoppable.stop()

        async with asyncio.timeout(30):
            await serving
        os.close(sent)
        os.close(answered)


async def test_it_ends_when_nobody_reads_its_answers_any_more(known: Path, stdio: ModuleType) -> None:
    with pipes() as (received, sent, answered):
        os.close(answered)
        os.write(sent, _LINES)

        async with asyncio.timeout(30):
            await stdio.serve(record_of(known, now=after(96)), stdio.StoppableInput(received))
        os.close(sent)
