"""The OpenAPI document: it is valid, and no request, whatever its parameters, is answered off its schema."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from pipeline.model.outcomes import Outcome
from pipeline.rest.routes import ENDPOINTS
from tests.support.beside import beside
from tests.support.hard_record import SYMBOLS, hard_record
from tests.support.rest import API
from tests.support.site import served
from tests.support.timeline import Ended, Ran, write_steps

_LONGEST_TARGET = 8_000
"""Characters of a path and its parameters: longer ones the HTTP server refuses before the API sees them."""


REQUESTS = [
    (one.path, mode)
    for one in ENDPOINTS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or one.parameters.__struct_fields__
]
"""The paths, with parameters that follow the schema, and with such that do not, where they take any."""


@pytest.fixture(scope="module", name="schema")
def _schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield the schema of a server whose record is hard to read, and has a run."""
    database = tmp_path_factory.mktemp("openapi") / "overviews.db"
    shutil.copyfile(hard_record(), database)
    write_steps(database, [Ran(500, (Ended("IBM", 500.1, Outcome.FAILED, detail="why"),), 501)])
    with beside(lambda: served(database)) as client:
        yield schemathesis.openapi.from_url(f"{client.url}{API}/openapi.json")


async def test_the_document_is_valid_and_names_where_it_was_asked_for() -> None:
    async with served(Path("none.db")) as client:
        for prefix in ("", "/as-of/2026-03-14"):
            got = await client.get(f"{prefix}{API}/openapi.json")
            document = json.loads(got.body)
            if not prefix:
                openapi_spec_validator.validate(document)
                of_now = document
            assert document | {"servers": of_now["servers"]} == of_now
            assert document["servers"][0]["url"] == f"{prefix}{API}"
            assert list(document["paths"]) == [one.path for one in ENDPOINTS]


@pytest.mark.parametrize(("path", "mode"), REQUESTS)
def test_no_answer_is_off_the_schema(schema: Any, path: str, mode: GenerationMode) -> None:
    _fuzz(schema[path]["GET"], mode, examples=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("path", "mode"), REQUESTS)
def test_no_answer_is_off_the_schema_at_length(schema: Any, path: str, mode: GenerationMode) -> None:
    _fuzz(schema[path]["GET"], mode, examples=300)


def _fuzz(operation: Any, mode: GenerationMode, *, examples: int) -> None:
    """Send requests that follow the schema of a path, or such that do not. Check each answer against it."""
    statuses: set[int] = set()

    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def send(case: Any, data: st.DataObject) -> None:
        if mode is GenerationMode.POSITIVE:
            _make_sensible(case, data)
        if len(case.as_curl_command()) > _LONGEST_TARGET:
            return
        response = case.call()
        statuses.add(response.status_code)
        # What the schema admits may name a day that does not exist, or a company that is not there.
        case.validate_response(response, excluded_checks=[positive_data_acceptance])

    send()
    assert mode is GenerationMode.NEGATIVE or 200 in statuses


def _make_sensible(case: Any, data: st.DataObject) -> None:
    """Put symbols that exist where there would be random text, which is only ever refused."""
    in_path = {"symbol": st.sampled_from([*SYMBOLS, "ZZZ"]), "run": st.sampled_from([1, 1, 1, 2])}
    for name in (case.path_parameters or {}).keys() & in_path.keys():
        case.path_parameters[name] = data.draw(in_path[name])
    likely = {
        "symbol": st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=3),
        "sort": st.sampled_from(["eps", "-PERatio", "confirmed_at", "name"]),
    }
    for name in case.query.keys() & likely.keys():
        case.query[name] = data.draw(likely[name])
    for name in case.query.keys() & {"after", "calendar"}:
        if data.draw(st.integers(0, 9)):
            del case.query[name]
