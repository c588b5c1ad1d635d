"""OpenAPI: the document that describes the API, made of its endpoints and of the types of their answers."""

from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from pipeline import __version__
from pipeline.rest.endpoints import API, Endpoint, Tabular
from pipeline.rest.formats import Format
from pipeline.rest.parameters import FIELD_NAMES
from pipeline.rest.problems import PROBLEM_TYPE, Problem
from pipeline.web.ask import AS_OF

Schema = dict[str, Any]
_REF = "#/components/schemas/{name}"
_FIELD_NAME = "FieldName"
_ABOUT = """\
What Alpha Vantage's OVERVIEW said of each company, as it was known at any instant.

Every path exists twice: `/api/v1/companies` answers what is known now, `/as-of/2026-03-14/api/v1/companies` what was
known at the end of that day. Nothing that was observed later takes part in an answer. A server that was started with
`--as-of` answers up to that instant only.

Tables are JSON, CSV or Parquet: by the header `Accept`, or by a path that ends in `.json`, `.csv` or `.parquet`. JSON
comes in pages: follow `next`, or the header `Link`, until there is none.

Instants are written `2026-03-14T18:30:00.123Z`, in UTC. Numbers are exact: integers may need 64 bits.
"""
_PROBLEMS = {
    HTTPStatus.BAD_REQUEST: "A parameter is unknown or invalid, or the instant is.",
    HTTPStatus.FORBIDDEN: "The instant is after the one that the server is locked to.",
    HTTPStatus.NOT_FOUND: "There is no such company or run, or nothing is stored yet.",
    HTTPStatus.NOT_ACCEPTABLE: "The answer is to be had in none of the formats that Accept names.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The question took too long, or the database cannot be read now.",
}
_PROBLEMS_OF_TABLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The table is too large to be had in one piece.",
    HTTPStatus.NOT_IMPLEMENTED: "The server lacks a package that the answer needs.",
}


def document(endpoints: tuple[Endpoint, ...], prefix: str) -> Schema:
    """Return the document. `prefix`: what the addresses of the API begin with, empty for the present."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "overview-pipeline",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": _servers(prefix),
        **_described(endpoints),
    }


@cache  # it takes a twentieth of a second, in which the server answers nobody else
def _described(endpoints: tuple[Endpoint, ...]) -> Schema:
    """Return the parts of the document that are the same at each of its addresses. They must not be changed."""
    _, schemas = msgspec.json.schema_components([Problem, *(one.answer for one in endpoints)], ref_template=_REF)
    fields: Schema = {"type": "string", "enum": FIELD_NAMES, "description": "A column, the API's name, or `all`."}
    return {
        "paths": {one.path: {"get": _operation(one)} for one in endpoints},
        "components": {"schemas": {**schemas, _FIELD_NAME: fields}, "responses": dict(_problem_responses())},
    }


def _servers(prefix: str) -> list[Schema]:
    if prefix:
        return [{"url": f"{prefix}{API}", "description": "What was known then."}]
    instant = {"default": "yesterday", "description": "2026-03-14, 2026-03-14T18:30Z, 7d (ago), …"}
    then = {"url": f"{AS_OF}{{instant}}{API}", "description": "What was known then.", "variables": {"instant": instant}}
    return [{"url": API, "description": "What is known now."}, then]


def _operation(endpoint: Endpoint) -> Schema:
    is_table = isinstance(endpoint, Tabular)
    problems = {**_PROBLEMS, **(_PROBLEMS_OF_TABLES if is_table else {})}
    return {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": list(_parameters(endpoint)),
        "responses": {
            "200": _answer(endpoint, is_table=is_table),
            "304": {"description": "The client has this answer: its If-None-Match names the ETag."},
            **{str(status.value): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(problems)},
        },
    }


def _parameters(endpoint: Endpoint) -> Iterable[Schema]:
    _, schemas = msgspec.json.schema_components([endpoint.parameters], ref_template=_REF)
    (own,) = (one for name, one in schemas.items() if name == endpoint.parameters.__name__)
    for name, described in own["properties"].items():
        schema = _without_null(described)
        is_in_path = f"{{{name}}}" in endpoint.path
        parameter = {
            "name": name,
            "in": "path" if is_in_path else "query",
            "description": schema.pop("description", ""),
        }
        if is_in_path:
            parameter["required"] = True
        elif schema.get("type") == "array":
            parameter |= {"style": "form", "explode": True}
            if schema["items"].get("enum") == FIELD_NAMES:
                schema["items"] = {"$ref": _REF.format(name=_FIELD_NAME)}
        yield {**parameter, "schema": schema}


def _without_null(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of a parameter that may be left out: what is left out is not written null."""
    found = {name: value for name, value in schema.items() if (name, value) not in (("default", None), ("default", []))}
    if {"type": "null"} in found.get("anyOf", ()):
        others = [one for one in found.pop("anyOf") if one != {"type": "null"}]
        found = {**others[0], **found} if len(others) == 1 else {**found, "anyOf": others}
    return found


def _answer(endpoint: Endpoint, *, is_table: bool) -> Schema:
    schema = {"$ref": _REF.format(name=endpoint.answer.__name__)}
    content: Schema = {Format.JSON.media_type: {"schema": schema}}
    if Format.CSV in endpoint.formats:
        content[Format.CSV.media_type] = {"schema": {"type": "string"}}
    if Format.PARQUET in endpoint.formats:
        content[Format.PARQUET.media_type] = {}
    headers: Schema = {"ETag": {"description": "Of this answer.", "schema": {"type": "string"}}}
    if is_table:
        headers["Link"] = {"description": "The next page, as `rel=next`.", "schema": {"type": "string"}}
    return {"description": endpoint.summary, "headers": headers, "content": content}


def _problem_responses() -> Iterable[tuple[str, Schema]]:
    content = {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(name=Problem.__name__)}}}
    for status, description in {**_PROBLEMS, **_PROBLEMS_OF_TABLES}.items():
        yield _name(status), {"description": description, "content": content}


def _name(status: HTTPStatus) -> str:
    return status.phrase.replace(" ", "")
