"""Errors that a person can fix, and the exit codes of commands."""

from pipeline.text import without_middle

LONGEST_PROBLEM, LONGEST_REMEDY = 600, 400
"""Characters of what an error says. Messages shorten each name that they repeat; this holds for those that forget to,
and for several names and paths in one message."""
LONGEST_LINE = LONGEST_PROBLEM + LONGEST_REMEDY + len("; ")
"""Characters of an error as text, and of any other line that is printed or logged."""


class ExitCode:
    """What a command returns to the shell. Stable."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    PARTIAL = 4
    QUOTA = 5
    BUSY = 6
    STALE = 7
    INTERRUPTED = 130


class Trouble(Exception):
    """A problem that a person can fix, with the exit code that it ends a command with.

    As text it is one line: `problem: remedy`, or `place: problem; remedy` where the problem holds a colon already.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, problem: str, *, remedy: str | None = None) -> None:
        """Take what is wrong and where, and what to do about it: None if `problem` says it, or nobody knows."""
        problem = without_middle(problem, LONGEST_PROBLEM)
        remedy = None if remedy is None else without_middle(remedy, LONGEST_REMEDY)
        separator = "; " if ": " in problem else ": "
        super().__init__(problem if remedy is None else f"{problem}{separator}{remedy}")
        self.problem = problem
        self.remedy = remedy


class Undecodable(ValueError):
    """Text that cannot be decoded: received, or read from a damaged file. The message says why."""


class Inconsistent(ValueError):
    """Rows of a damaged database that do not go together. The message says which."""


def file_reason(error: OSError | ValueError) -> str:
    """Return why a file cannot be read or written, without its name: `permission denied`, `not UTF-8`."""
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return "not UTF-8" if isinstance(error, UnicodeError) else str(error)
