"""Fields as people name them: by the column, as the API spells it, or nearly."""

import difflib
from collections.abc import Iterable, Sequence

from pipeline.outcome import ExitCode, Trouble
from pipeline.overview import CATALOGUE, COLUMNS, FIELDS, SYMBOL_FIELD, Field


class NoSuchField(Trouble):
    """A field that the catalogue lacks, or that a question is not about."""

    exit_code = ExitCode.USAGE


def field_named(text: str) -> Field:
    """Return the field of a column's name, or of the API's. Raise NoSuchField, naming the nearest, for any other."""
    field = COLUMNS.get(text) or FIELDS.get(text) or _BY_LOWER.get(text.lower().replace("-", "_"))
    if field is not None:
        return field
    near = difflib.get_close_matches(text.lower(), _BY_LOWER, n=3) or [one for one in _BY_LOWER if _is_part(text, one)]
    names = list(dict.fromkeys(_BY_LOWER[one].column for one in near))[:3]
    hint = f"; did you mean {' or '.join(names)}?" if names else "; the README lists them all"
    raise NoSuchField(f"there is no field {text[:40]!r}{hint}")


def _is_part(text: str, name: str) -> bool:
    """Whether somebody who wrote the text may have meant the name, and left the rest of it out."""
    return bool(text) and text.lower() in name


_BY_LOWER = {name.lower(): field for field in CATALOGUE for name in (field.name, field.column)}


def fields_named(given: Iterable[str | Field] | None, usual: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fields given, each once; the usual ones where none are."""
    asked = [given] if isinstance(given, str) else given or ()
    fields = [field if isinstance(field, Field) else field_named(field) for field in asked] or usual
    return tuple(dict.fromkeys(field for field in fields if field is not SYMBOL_FIELD))
