"""What a page says of a refusal: in sentences, parameters as they were typed, and pages instead of commands."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from pipeline.errors import Trouble
from pipeline.model.fields import FieldNotFound

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
        sentence = None if remedy is None else _sentence(remedy, parameters)
        return cls(_sentence(error.problem, parameters), sentence, isinstance(error, FieldNotFound))


def _sentence(text: str, parameters: Collection[str]) -> str:
    """Return a text as a sentence. A parameter or a command at its beginning stays as it is typed."""
    for command, page in _HERE.items():
        text = text.replace(command, page)
    first = re.match(r"\w*", text)
    is_typed = first is not None and (first[0] in parameters or first[0] == _COMMAND)
    begun = text if is_typed else text[:1].upper() + text[1:]
    return begun if begun.endswith((".", "?", "!")) else f"{begun}."
