"""The page for agents: what it says to put into a client's configuration starts the server, and its example runs."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from pipeline.cli.app import pipeline
from tests.docs.generate import DOCS, command_of
from tests.support.commands import PIPELINE, environment

PAGE = (DOCS / "agents.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def servers() -> list[dict[str, Any]]:
    """Return each server that a snippet configures."""
    found = [*map(json.loads, blocks("json")), *map(tomllib.loads, blocks("toml"))]
    return [server for one in found for table in one.values() for server in table.values()]


def command_lines() -> list[list[str]]:
    """Return the words of each command line that starts the server."""
    inline = re.findall(r"`[a-z]+ mcp add overviews -- (pipeline mcp[^`]*)`", PAGE)
    return [*map(shlex.split, inline), *([one["command"], *one["args"]] for one in servers())]


def test_five_clients_are_shown_how_to_start_the_server() -> None:
    assert len(servers()) == 5
    assert len(command_lines()) == 7


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_what_a_client_is_to_start_is_a_command_line_of_ours(words: list[str]) -> None:
    program, command, *options = words

    assert (program, command) == ("pipeline", "mcp")
    command_of("mcp").make_context("mcp", options, parent=click.Context(pipeline))


@pytest.mark.process
def test_the_example_with_the_sdks_client_prints_what_the_page_shows(
    answerable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
    (example,) = [one for one in blocks("python") if "StdioServerParameters" in one]
    (shown,) = [one for one in blocks("text") if "pe_ratio" in one]
    monkeypatch.chdir(answerable.parents[1])
    for name, value in {**environment(tmp_path), "PATH": f"{PIPELINE.parent}"}.items():
        monkeypatch.setenv(name, value)

    exec(compile(example, "agents.md", "exec"), {"__name__": "example"})

    assert capfd.readouterr().out == shown
