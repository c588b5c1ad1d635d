"""The error for a configuration that cannot be used, and how it repeats a wrong value."""

from pipeline.errors import ExitCode, Trouble
from pipeline.redaction import Redact, without_lookalikes
from pipeline.text import LONGEST_NAME, cut


class SettingsError(Trouble):
    """A configuration that cannot be used: the line names the place, the problem, and the remedy."""

    exit_code = ExitCode.REFUSED

    def __init__(self, problem: str, *, remedy: str | None = None) -> None:
        """Take what is wrong and what to do. What looks like a key is hidden: one is easily put in the wrong place."""
        super().__init__(without_lookalikes(problem), remedy=None if remedy is None else without_lookalikes(remedy))

    def at(self, place: str) -> "SettingsError":
        """Return the same error with its place in front: a file and key, or a variable."""
        return SettingsError(f"{place}: {self.problem}", remedy=self.remedy)

    def redacted(self, redact: Redact) -> "SettingsError":
        """Return the same error without the secrets that are known."""
        return SettingsError(redact(self.problem), remedy=None if self.remedy is None else redact(self.remedy))


def quoted(value: object) -> str:
    """Return a wrong value as an error repeats it: as Python writes it, in at most 80 characters.

    What looks like a key is hidden before: the part of one that is left would not look like it.
    """
    return cut(without_lookalikes(repr(value)), LONGEST_NAME)


def shown(name: str) -> str:
    """Return the name of a key or a variable as messages repeat it: in at most 80 characters."""
    return cut(without_lookalikes(name), LONGEST_NAME)
