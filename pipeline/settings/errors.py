"""The error for a configuration that cannot be used."""

from pipeline.errors import ExitCode, Trouble


class SettingsError(Trouble):
    """A configuration that cannot be used: the line names the place, the problem, and the remedy."""

    exit_code = ExitCode.REFUSED

    def at(self, place: str) -> "SettingsError":
        """Return the same error with its place in front: a file and key, or a variable."""
        return SettingsError(f"{place}: {self.problem}", remedy=self.remedy)
