"""Any call is answered, or refused in one line; and under a lock, what happened later makes no difference to any."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.agents.arguments import read_arguments
from pipeline.agents.record import Record
from pipeline.agents.refusals import BadCall
from pipeline.agents.schemas import schema_of
from pipeline.agents.tools import TOOLS
from pipeline.model.outcomes import Outcome, RunStatus
from tests.support.agents import Agent, record_of
from tests.support.observations import after, database_of, seen, uncovered
from tests.support.renames import rename
from tests.support.timeline import Ended, Imported, Listed, Ran, Renamed, Step, seen_fields, write_steps

jsonschema = pytest.importorskip("jsonschema", reason="mcp brings it")

LOCK = 30
"""Hours after the start."""
WORDS = [
    "AAPL",
    "PEP",
    "TSLA",
    "AAP",
    "TSL",
    "NEW",
    "FB",
    "pe_ratio",
    "PERatio",
    "eps",
    "all",
    "name",
    "xyzq",
    "now",
    "today",
]
TIMES = [
    "now",
    "today",
    "2026-03-14",
    "2026-03-15T12:00Z",
    "1d",
    "3h",
    "2026-03-16",
    "2026-03-20",
    "2020-01-01",
    "soon",
    "",
]
_TEXTS = st.sampled_from([*WORDS, *TIMES, "TECHNOLOGY", "consumer", "1mo", "1d", "daily"]) | st.text(max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1200) | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=2),
    max_leaves=4,
)


def _fitting(schema: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
    """Return values that a schema allows, of words that mean something."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), 50)
        case "number":
            return st.sampled_from([0, 0.05, 12.5, 1000])
        case "array":
            return st.lists(_fitting(schema["items"], name), min_size=schema.get("minItems", 0), max_size=2)
        case _:
            return st.sampled_from(TIMES if name in ("at", "until", "since") else WORDS)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a call: some arguments as the schema has them, some not."""
    tool = draw(st.sampled_from(list(TOOLS)))
    schema = schema_of(TOOLS[tool].arguments)
    asked = {}
    for name, allowed in schema["properties"].items():
        if name in schema["required"] or draw(st.integers(0, 3)) == 0:
            asked[name] = draw(_fitting(allowed, name) if draw(st.integers(0, 9)) else _JSON)
    if not draw(st.integers(0, 9)):
        asked[draw(_TEXTS)] = draw(_JSON)
    return tool, asked


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls())
def test_any_call_is_answered_or_refused_in_one_line(agent: Agent, call: tuple[str, dict[str, Any]]) -> None:
    tool, asked = call

    result = asyncio.run(agent.ask(tool, asked))

    if result["isError"]:
        (content,) = result["content"]
        assert content["text"].isprintable()
        assert 10 < len(content["text"]) < 1000


@given(calls())
def test_what_a_schema_refuses_the_reader_refuses_too_but_for_what_is_plainly_meant(
    call: tuple[str, dict[str, Any]],
) -> None:
    tool, asked = call
    kind = TOOLS[tool].arguments
    is_valid = jsonschema.Draft202012Validator(schema_of(kind)).is_valid(asked)

    try:
        read_arguments(tool, kind, asked)
    except BadCall:
        assert not is_valid
    else:
        assert is_valid or any(isinstance(one, str | float) or one is None for one in asked.values())


# Under a lock

_LATER = st.lists(
    st.one_of(
        st.builds(
            lambda symbol, hour, ratio, sector: Imported((
                uncovered(hour, symbol)
                if ratio is None
                else seen(hour, symbol, PERatio=ratio, Sector=sector, Name=sector, LatestQuarter="2025-12-31"),
            )),
            st.sampled_from(["AAPL", "PEP", "TSLA", "NEW", "AAPLX"]),
            st.integers(LOCK + 1, LOCK + 200),
            st.sampled_from(["30", "31", "99", None]),
            st.sampled_from(["TECHNOLOGY", "NEWS"]),
        ),
        st.just(Ran(LOCK + 2, (Ended("AAPL", LOCK + 3, fields=seen_fields(PERatio="7")),), LOCK + 4)),
        st.just(Listed(LOCK + 5, ("NEW", "TSLA"))),
        st.just(Renamed((rename("AAPL", "NEW", datetime(2026, 3, 18, tzinfo=UTC)),))),
    ),
    max_size=6,
    unique_by=repr,
)  # fmt: skip
"""What may have happened after the lock."""
_EARLIER: Sequence[Step] = [
    Listed(0, ("AAPL", "PEP")),
    Ran(0, (Ended("PEP", 1, Outcome.FAILED, detail="HTTP 503"),), 2, RunStatus.PARTIAL),
    Imported((
        seen(0, "AAPL", PERatio="30", Sector="TECHNOLOGY", Name="Apple", LatestQuarter="2025-09-30", RevenueTTM="100"),
        seen(0, "PEP", PERatio="20", Sector="CONSUMER", Name="PepsiCo", LatestQuarter="2025-09-30"),
        seen(24, "AAPL", PERatio="33", Sector="TECHNOLOGY", Name="Apple", LatestQuarter="2025-09-30", RevenueTTM="90"),
        uncovered(25, "PEP"),
    )),
]  # fmt: skip


def _record(steps: Sequence[Step]) -> Record:
    database = database_of([])
    write_steps(database, [*_EARLIER, *steps])
    return record_of(database, now=after(LOCK + 300), lock=after(LOCK))


@settings(max_examples=8)
@given(_LATER, st.lists(calls(), min_size=8, max_size=12))
def test_under_a_lock_what_happened_later_changes_no_answer_and_no_error(
    later: Sequence[Step], asked: list[tuple[str, dict[str, Any]]]
) -> None:
    plain, other = _record([]), _record(later)

    for tool, arguments in asked:
        assert _said(plain, tool, arguments) == _said(other, tool, arguments), (tool, arguments)


def _said(record: Record, tool: str, asked: dict[str, Any]) -> tuple[str, str]:
    """Return what an agent gets for a call, as data and as text; or the refusal. (A client for each takes 20 ms.)"""
    try:
        result, text = asyncio.run(record.answer(TOOLS[tool], asked))
    except BadCall as refusal:
        return "refused", str(refusal)
    return repr(result), text
