"""The MCP server: the tools and the field list over the official SDK. The one module that knows the protocol."""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from mcp_types import Tool as ListedTool

from pipeline import __version__
from pipeline.agents import fields_resource
from pipeline.agents.record import Record
from pipeline.agents.refusals import BadCall
from pipeline.agents.schemas import schema_of
from pipeline.agents.tool import Tool
from pipeline.agents.tools import TOOLS, instructions
from pipeline.instants import to_text
from pipeline.json_text import plain
from pipeline.text import quoted

_Context = ServerRequestContext[dict[str, Any], Any]

_NAME = "overview-pipeline"
_CSV = "text/csv"


def create_server(record: Record, tools: Mapping[str, Tool[Any, Any]] = TOOLS) -> Server[dict[str, Any]]:
    """Return the server that answers for a record."""
    listed = ListToolsResult(tools=[_listed(tool) for tool in tools.values()])

    async def list_tools(_context: _Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def call_tool(_context: _Context, params: CallToolRequestParams) -> CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"unknown tool {quoted(params.name)}: use {', '.join(tools)}")
        return await _answer(record, tool, params.arguments or {})

    lock = record.lock
    return Server(
        _NAME,
        version=__version__,
        title="Point-in-time company overviews",
        instructions=instructions(None if lock is None else to_text(lock)),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=_list_resources,
        on_read_resource=_read_resource,
    )


def _listed(tool: Tool[Any, Any]) -> ListedTool:
    """Return a tool as clients see it. None changes anything, and none asks anything but the record."""
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema_of(tool.arguments),
        output_schema=schema_of(tool.result),
        annotations=ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


async def _answer(record: Record, tool: Tool[Any, Any], given: Mapping[str, Any]) -> CallToolResult:
    """Return what a tool answers, as text and as data; or why it does not, for the agent to do better."""
    log, began = structlog.get_logger().bind(tool=tool.name), time.monotonic()
    try:
        result, text = await record.answer(tool, given)
    except BadCall as refusal:
        log.info("refused", reason=str(refusal), seconds=round(time.monotonic() - began, 3))
        return CallToolResult(content=[TextContent(text=str(refusal))], is_error=True)
    log.info("answered", at=result.at, seconds=round(time.monotonic() - began, 3))
    return CallToolResult(content=[TextContent(text=text)], structured_content=plain(result))


async def _list_resources(_context: _Context, _params: PaginatedRequestParams | None) -> ListResourcesResult:
    fields = Resource(
        uri=fields_resource.URI,
        name=fields_resource.NAME,
        title="Fields of an overview",
        description=fields_resource.DESCRIPTION,
        mime_type=_CSV,
    )
    return ListResourcesResult(resources=[fields])


async def _read_resource(_context: _Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    if params.uri != fields_resource.URI:
        raise MCPError(INVALID_PARAMS, f"unknown resource {quoted(params.uri)}: there is {fields_resource.URI}")
    text = fields_resource.read_fields()
    return ReadResourceResult(contents=[TextResourceContents(uri=params.uri, mime_type=_CSV, text=text)])
