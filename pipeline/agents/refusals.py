"""Refusals: calls that get no answer, each with one line that says what to do instead."""

from pipeline.errors import Trouble
from pipeline.model.fields import FieldNotFound
from pipeline.store.database import DatabaseError
from pipeline.store.time_limit import TooSlow
from pipeline.text import printable


class BadCall(Trouble):
    """A call that cannot be answered as it is."""


def in_words_for_agents(trouble: Trouble) -> BadCall:
    """Return the refusal that a problem means: its remedy names tools instead of commands, or the user to tell."""
    if isinstance(trouble, BadCall):
        return BadCall(printable(str(trouble)))
    if isinstance(trouble, FieldNotFound):
        problem = printable(trouble.problem).replace("pipeline history", "the tool history")
        remedy = trouble.remedy or "the tool vintages takes those of a quarter's statements"
        return BadCall(
            problem, remedy=remedy.replace("pipeline fields lists all", "the tool overview names all fields")
        )
    if isinstance(trouble, TooSlow):
        return BadCall(trouble.problem, remedy="name companies, or fewer fields or days")
    if isinstance(trouble, DatabaseError):
        problem = printable(str(trouble)).removesuffix("; questions also take --migrate-copy")
        return BadCall(f"the record cannot be read ({problem})", remedy="tell the user: this is not yours to fix")
    return BadCall(printable(str(trouble)))
