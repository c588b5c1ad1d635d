"""What a question's answer looks like, and the table that all of them make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, beside what it ought to be and what it was made of."""

    what: str
    figure: str
    target: str = ""
    made_of: str = ""
    """The absolute figures, and what was compared."""
    is_broken: bool = False
    """Whether a promise is broken that no machine excuses. A time never is: machines differ, and are busy."""


def ratio(what: str, measured: float, compared: float, *, target: str, made_of: str) -> Line:
    """Return the line of a figure that is compared with another."""
    return Line(what, f"{measured / compared:.3f}", target, made_of)


def tables(answers: Iterable[tuple[str, Sequence[Line]]]) -> str:
    """Return the answers to all questions, a table each, with the columns where they are in the others."""
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
