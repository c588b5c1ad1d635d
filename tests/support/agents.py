"""An agent to test with: the SDK's own client, connected to a server in this process."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.agents.record import WITHIN, Record

mcp = pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
create_server = pytest.importorskip("pipeline.agents.server").create_server

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
        async with mcp.Client(create_server(self.record), mode=self.mode, raise_exceptions=True) as client:
            return await client.call_tool(tool, arguments)


def _text(result: Any) -> str:
    (content,) = result.content
    assert content.type == "text"
    text: str = content.text
    return text


def record_of(database: Path, *, now: datetime, lock: datetime | None = None, within: timedelta = WITHIN) -> Record:
    """Return the record of a database, with a clock that stands still."""
    return Record(database, lambda: now, lock, STALE_AFTER, within)
