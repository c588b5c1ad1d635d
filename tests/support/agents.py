"""An agent to test with: the SDK's own client, connected to a server in this process."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipeline.agents.record import WITHIN, Record
from pipeline.agents.tool import Tool

if find_spec("mcp") is None:
    pytest.skip("the extra `mcp` is not installed", allow_module_level=True)

STALE_AFTER = timedelta(hours=72)


@dataclass(frozen=True)
class Agent:
    """Asks a record through the SDK's client, which checks each answer against the schema of its tool."""

    record: Record
    mode: str = "auto"
    """Which protocol to speak: the newest that both know, or `legacy`, with a handshake."""

    async def __call__(self, tool: str, **arguments: Any) -> Any:
        """Return the data of an answer."""
        result = await self._call(tool, arguments)
        assert not result.is_error, _text(result)
        return result.structured_content

    async def text(self, tool: str, **arguments: Any) -> list[str]:
        """Return the text of an answer, in lines."""
        result = await self._call(tool, arguments)
        assert not result.is_error, _text(result)
        return _text(result).splitlines()

    async def error(self, tool: str, **arguments: Any) -> str:
        """Return why a call gets no answer."""
        result = await self._call(tool, arguments)
        assert result.is_error, result.structured_content
        text = _text(result)
        assert text.isprintable()
        return text

    async def ask(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return all that comes back from a call."""
        found: dict[str, Any] = (await self._call(tool, arguments)).model_dump(by_alias=True, mode="json")
        return found

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Any:
        async with client_of(self.record, mode=self.mode, raise_exceptions=True) as client:
            return await client.call_tool(tool, arguments)


def client_of(record: Record, *tools: Mapping[str, Tool[Any, Any]], **options: Any) -> Any:
    """Return the SDK's client of a server in this process."""
    import mcp  # noqa: PLC0415 - it takes half a second, and each worker collects these tests

    from pipeline.agents.server import create_server  # noqa: PLC0415

    return mcp.Client(create_server(record, *tools), **options)


def _text(result: Any) -> str:
    (content,) = result.content
    assert content.type == "text"
    text: str = content.text
    return text


def record_of(database: Path, *, now: datetime, lock: datetime | None = None, within: timedelta = WITHIN) -> Record:
    """Return the record of a database, with a clock that stands still."""
    return Record(database, lambda: now, lock, STALE_AFTER, within)
