"""Start-up: what answers at once does not load what only collecting needs."""

import subprocess
import sys

import pytest

_SLOW = (
    "aiohttp",
    "aiosqlite",
    "apscheduler",
    "asyncio",
    "mcp",
    "procrastinate",
    "psycopg",
    "pyarrow",
    "structlog",
    "tenacity",
    "vl_convert",
)


@pytest.mark.process
def test_commands_that_only_read_do_not_import_what_collecting_needs() -> None:
    commands = (
        "as_of",
        "changes",
        "config",
        "doctor",
        "export",
        "fields",
        "fleet",
        "health",
        "history",
        "plan",
        "runs",
        "status",
        "symbols",
    )
    program = f"""
import importlib, sys
for command in {commands}:
    importlib.import_module("pipeline.cli.commands." + command)
    loaded = [name for name in {_SLOW} if name in sys.modules]
    assert not loaded, (command, loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
