"""Lines of results, and the tables that they make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, its target, and what it was computed from."""

    what: str
    figure: str
    target: str = ""
    made_of: str = ""
    """The absolute figures, and what they are."""
    is_broken: bool = False
    """Whether a count is wrong. A time never is: machines differ, and are busy."""


def ratio(what: str, measured: float, compared: float, *, target: str, made_of: str) -> Line:
    """Return the line of a figure as a multiple of another."""
    return Line(what, f"{measured / compared:.3f}", target, made_of)


def tables(answers: Iterable[tuple[str, Sequence[Line]]]) -> str:
    """Return a table for each question, all with the same column widths."""
    all_answers = [(question, list(lines)) for question, lines in answers]
    lines = [line for _, of_question in all_answers for line in of_question]
    widths = [max(len(column) for column in columns) for columns in zip(*map(_columns, lines), strict=True)]
    return "\n\n".join(
        "\n".join([question, *(_row(line, widths) for line in of_question)]) for question, of_question in all_answers
    )


def _columns(line: Line) -> tuple[str, str, str]:
    return line.what, line.figure, line.target


def _row(line: Line, widths: Sequence[int]) -> str:
    what, figure, target = widths
    row = f"  {line.what:{what}}  {line.figure:>{figure}}  {line.target:{target}}  {line.made_of}".rstrip()
    return f"{row}  BROKEN" if line.is_broken else row
