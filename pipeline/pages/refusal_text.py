"""What a page says of a refusal: in sentences, parameters as they were typed, and pages instead of commands."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from pipeline.errors import Trouble
from pipeline.model.fields import COLUMNS, FieldNotFound

_ALL_FIELDS = "pipeline fields lists all"
_HERE = {"pipeline history shows it": "the page of changes shows it"}
"""What pages answer what a command answers, by what an error says of the command."""
_COMMAND = "pipeline"


@dataclass(frozen=True, slots=True)
class Said:
    """A refusal in sentences."""

    problem: str
    remedy: str | None
    is_of_fields: bool
    """Whether the page of fields helps."""

    @classmethod
    def of(cls, error: Trouble, *, parameters: Collection[str]) -> "Said":
        """Return what a page says of an error, given the names of the parameters that were asked."""
        remedy = None if error.remedy == _ALL_FIELDS else error.remedy
        is_of_fields = isinstance(error, FieldNotFound)
        typed = {*parameters, *(COLUMNS if is_of_fields else ()), _COMMAND}
        sentence = None if remedy is None else _sentence(remedy, {_COMMAND})
        return cls(_sentence(error.problem, typed), sentence, is_of_fields)


def _sentence(text: str, typed: Collection[str]) -> str:
    """Return a text as a sentence. A word at its beginning that is typed so stays as it is."""
    for command, page in _HERE.items():
        text = text.replace(command, page)
    first = re.match(r"\w*", text)
    is_typed = first is not None and first[0] in typed
    begun = text if is_typed else text[:1].upper() + text[1:]
    return begun if begun.endswith((".", "?", "!")) else f"{begun}."
