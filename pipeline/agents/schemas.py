"""JSON Schemas of structs, each whole: not every client follows references."""

from typing import Any

import msgspec

_REFERENCE = "#/$defs/"
_NULL = {"type": "null"}
_ANNOTATIONS = frozenset({"description", "examples"})
_LITERAL = frozenset({"default", "enum", "examples"})
"""Keywords whose values are no schemas."""


def schema_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a struct, without references. What is None by default is left out, never null."""
    (schema,), definitions = msgspec.json.schema_components([struct], ref_template=_REFERENCE + "{name}")
    found: dict[str, Any] = _whole(schema, definitions)
    found.pop("description", None)  # of the class, and said better of the tool
    return found


def _whole(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_whole(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _whole(definitions[reference.removeprefix(_REFERENCE)], definitions)
    kinds = schema.get("anyOf", [])
    if schema.get("default", _NULL) is None and len(kinds) == 2 and kinds[1] == _NULL:
        return {**_whole(kinds[0], definitions), **{name: schema[name] for name in _ANNOTATIONS & schema.keys()}}
    return {name: _part(name, value, definitions) for name, value in schema.items() if name != "title"}


def _part(name: str, value: Any, definitions: dict[str, Any]) -> Any:
    """Return a part of a schema. The names of properties are no keywords."""
    if name == "properties":
        return {one: _whole(schema, definitions) for one, schema in value.items()}
    return value if name in _LITERAL else _whole(value, definitions)
