"""Start-up: what answers at once does not load what only collecting needs, nor what collects what only serving does."""

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
_SERVING = ("aiohttp.web", "pipeline.cli.site", "pipeline.rest", "pipeline.sandbox", "pipeline.web.app")


@pytest.mark.process
def test_commands_do_not_import_what_only_others_need() -> None:
    reading = (
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
for commands, unneeded in (({reading}, {_SLOW}), (("collect", "run"), {_SERVING})):
    for command in commands:
        importlib.import_module("pipeline.cli.commands." + command)
        loaded = [name for name in unneeded if name in sys.modules]
        assert not loaded, (command, loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
