"""The error for a configuration that cannot be used, and how it repeats a wrong value."""

from pipeline.errors import ExitCode, Trouble
from pipeline.text import cut

_MOST_SHOWN = 60


class SettingsError(Trouble):
    """A configuration that cannot be used: the line names the place, the problem, and the remedy."""

    exit_code = ExitCode.REFUSED

    def at(self, place: str) -> "SettingsError":
        """Return the same error with its place in front: a file and key, or a variable."""
        return SettingsError(f"{place}: {self.problem}", remedy=self.remedy)


def quoted(value: object) -> str:
    """Return a wrong value as an error repeats it: as Python writes it, in at most 60 characters."""
    return cut(repr(value), _MOST_SHOWN)
