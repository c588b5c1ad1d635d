"""Arguments: what the tools take is in their schemas, and what does not fit is refused in one line that helps."""

import json
from typing import Any

import pytest

from pipeline.agents.tools import TOOLS
from pipeline.model.fields import CATALOGUE
from tests.support.agents import Agent, client_of


async def test_each_tool_requires_an_instant_and_none_changes_anything(agent: Agent) -> None:
    async with client_of(agent.record) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert list(tools) == ["companies", "overview", "history", "changes", "vintages", "panel", "status"]
    for name, tool in tools.items():
        bound = "until" if name in ("history", "changes", "panel") else "at"
        assert bound in tool.input_schema["required"]
        assert "now" in tool.input_schema["properties"][bound]["examples"]
        assert tool.input_schema["additionalProperties"] is False
        hints = tool.annotations
        assert hints is not None
        assert (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint) == (True, True, False)


async def test_schemas_are_whole_and_describe_what_is_not_plain(agent: Agent) -> None:
    async with client_of(agent.record) as client:
        tools = (await client.list_tools()).tools

    for tool in tools:
        assert "$ref" not in json.dumps([tool.input_schema, tool.output_schema])
        for name, schema in tool.input_schema["properties"].items():
            assert schema.get("description") or schema.get("type") in ("boolean", "integer"), (tool.name, name)
            assert "anyOf" not in schema, (tool.name, name)
            assert schema.get("type") != "string" or {"maxLength", "pattern", "enum"} & schema.keys(), (tool.name, name)
        assert tool.output_schema is not None
        assert "notices" in tool.output_schema["properties"]


async def test_all_that_an_agent_is_told_of_the_tools_fits_into_few_tokens(agent: Agent) -> None:
    async with client_of(agent.record) as client:
        tools = (await client.list_tools()).tools

    told = [[tool.name, tool.description, tool.input_schema] for tool in tools]
    assert len(json.dumps(told)) < 20_000  # about 5,000 tokens


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
async def test_the_example_in_each_description_is_answered(agent: Agent, tool: Any) -> None:
    example = json.loads(tool.description.partition("Example: ")[2])
    if example.get("since") == "2026-01-01":
        example["until"] = "now"
    for bound in ("at", "until"):
        if bound in example:
            example[bound] = "now"

    assert await agent(tool.name, **example)


async def test_the_overview_tool_names_every_field_and_the_resource_says_what_each_is(agent: Agent) -> None:
    async with client_of(agent.record) as client:
        (listed,) = (await client.list_resources()).resources
        (content,) = (await client.read_resource(listed.uri)).contents

    for field in CATALOGUE[1:]:
        assert field.column in TOOLS["overview"].description
        assert f"{field.column},{field.name},{field.kind},{field.part},{field.unit}" in content.model_dump()["text"]


async def test_what_models_get_wrong_and_what_is_meant_all_the_same_is_answered(agent: Agent) -> None:
    asked = await agent("overview", at="now", symbols=["AAPL", "PEP"], fields=["pe_ratio", "eps"])

    for symbols in ("AAPL,PEP", '["AAPL", "PEP"]', "aapl, pep"):
        for fields in ("PERatio, EPS", ["PERatio", "EPS", "pe_ratio"]):
            assert await agent("overview", at="now", symbols=symbols, fields=fields, original=None) == asked
    assert (await agent("history", until="now", symbol="aapl", limit="1", newest_first="true"))["versions"]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("overview", {}, ["'at' is missing", '"2026-03-14"', "overview takes at, symbols"]),
        ("history", {"symbol": "AAPL"}, ["'until' is missing"]),
        ("overview", {"at": "now"}, ["'symbols' is missing", '["AAPL"]']),
        ("overview", {"at": "now", "symbols": []}, ["symbols", ">= 1"]),
        ("overview", {"at": "now", "symbols": ["A"] * 21}, ["symbols", "<= 20"]),
        ("overview", {"at": "now", "symbol": "AAPL"}, ["unknown argument 'symbol'", "symbols"]),
        ("overview", {"at": 20260314, "symbols": ["AAPL"]}, ["at: expected `str`", "2026-03-14"]),
        ("overview", {"at": "soon", "symbols": ["AAPL"]}, ["invalid at 'soon'", "2026-03-14T18:30Z"]),
        ("overview", {"at": "now", "symbols": ["AA PL"]}, ["symbols[0]", "AAPL"]),
        ("history", {"until": "now", "symbol": "AAPX"}, ["no snapshot of AAPX", "did you mean AAPL?", "companies"]),
        ("history", {"until": "now", "symbol": "KO"}, ["no snapshot of KO at 2026", "it is listed, and was not"]),
        ("history", {"until": "now", "symbol": "AAPL", "fields": ["pe"]}, ["field 'pe'", "did you mean pe_ratio"]),
        ("history", {"until": "now", "symbol": "AAPL", "fields": ["xyzq"]}, ["unknown field 'xyzq'", "tool overview"]),
        ("history", {"until": "now", "symbol": "AAPL", "limit": 5000}, ["limit", "<= 1000"]),
        ("history", {"until": "now", "symbol": "AAPL", "since": "2027-01-01"}, ["since", "in the future"]),
        ("history", {"until": "3d", "symbol": "AAPL", "since": "2d"}, ["since", "later than until"]),
        ("companies", {"at": "now", "sort": "market_cap"}, ["unknown field", "market_capitalization"]),
        ("vintages", {"at": "now", "symbol": "AAPL", "fields": ["eps"]}, ["not reported by quarter", "tool history"]),
        ("changes", {"until": "now", "part": "weekly"}, ["'weekly'", "profile, reported, daily"]),
        ("changes", {"until": "now", "min_change": -1}, ["min_change", ">= 0"]),
        ("panel", {"until": "now", "since": "7d", "fields": ["eps"], "every": "1y"}, ["'1y'", "1d, 1w, 1mo, 1q"]),
        ("panel", {"until": "now", "since": "7d", "fields": ["symbol"]}, ["no field", "pe_ratio"]),
        ("panel", {"until": "now", "since": "7d", "fields": ["eps"], "lag": "soon"}, ["lag", "1d"]),
        ("panel", {"until": "now", "since": "1900-01-01", "fields": ["eps"], "every": "1d"}, ["cells", "1mo"]),
        ("panel", {"until": "2026-03-16", "since": "2026-03-16", "fields": ["eps"]}, ["no instant", "every"]),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_with_what_to_do(
    agent: Agent, tool: str, arguments: dict[str, Any], words: list[str]
) -> None:
    error = await agent.error(tool, **arguments)

    assert not [word for word in words if word not in error], error
    assert "pipeline " not in error
