"""Errors that a person can fix, and the exit codes of commands."""


class ExitCode:
    """What a verb says to the shell. Stable."""

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
    """What a person can mend. One line: what, where, and what to do; the exit code it ends a command with."""

    exit_code = ExitCode.FAILED
