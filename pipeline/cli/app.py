"""The `pipeline` command: find the subcommand, run it, and turn errors and interruptions into exit codes.

A subcommand's module is imported only when it is called, so that each starts fast.
"""

import importlib
import os
import signal
import sys
import threading
from io import TextIOWrapper
from types import ModuleType
from typing import NoReturn

import click

from pipeline import __version__
from pipeline.cli import watchdog
from pipeline.cli.lazy_commands import LazyCommands
from pipeline.cli.options import Options, global_options
from pipeline.cli.standard_streams import end_with_reader, open_standard_streams
from pipeline.errors import ExitCode, Trouble, file_reason
from pipeline.resources import check_resources, exhausted

COMMANDS = {
    "init": "Create a commented configuration file and a .env to fill in.",
    "collect": "Request the overviews that are due, once, and store them.",
    "run": "Run as a daemon: collect on schedule until stopped.",
    "follow": "Keep a file current with a fleet's record; needs no key.",
    "serve": "Serve the record to browsers and programs, read-only.",
    "mcp": "Give AI agents the record as tools (Model Context Protocol).",
    "plan": "Show what is due, what it costs and how long it takes.",
    "schedule": "Show when each schedule runs next.",
    "health": "Report on one line whether daemon and data are healthy.",
    "status": "Show the last run, quota left, stale symbols and API drift.",
    "fleet": "Show the machines that share quota and record; set them up.",
    "history": "Show one company over time; --plot draws it.",
    "as-of": "Show what was known at a point in time.",
    "panel": "Show what was known at each of many points in time.",
    "join": "Add what was known then to the rows of a table of yours.",
    "changes": "List which values changed, from what to what, and when.",
    "vintages": "List reported values by fiscal quarter, with restatements.",
    "export": "Write snapshots as Parquet, Excel, CSV or JSON Lines.",
    "import": "Import recorded API responses.",
    "datasette-metadata": "Write the file with which Datasette shows the database.",
    "runs": "List past runs, or the outcomes of one.",
    "symbols": "List the configured symbols and their state.",
    "fields": "List the fields of an overview: type, unit, what it is.",
    "config": "Show every setting and where it came from.",
    "doctor": "Check the installation; name a remedy for each problem.",
    "notify": "List the notification addresses; --test sends to each.",
    "migrate": "Bring a database of an older version up to date.",
    "backup": "Copy the database to a file while it is in use.",
    "restore": "Put a backup in the database's place.",
    "correct": "Move or remove what a wrong clock dated.",
    "sandbox": "Serve a simulated API that needs no key.",
}

_WATCHED = frozenset({"collect", "follow", "import", "run", "serve"})
"""Commands that end in order on a signal. (Where one of these words is something else, the watchdog does no harm.)"""
_QUESTIONS = frozenset({"as-of", "changes", "export", "history", "join", "mcp", "panel", "runs", "symbols", "vintages"})
"""Commands that only answer, at length: without a reader of the answer, they end quietly. All others do their work."""
UNWAITED = "unwaited"
"""Name prefix of the threads that exit does not wait for."""
_GRACE_SECONDS = 0.05
"""Exit does give them this long, for those that are about to end."""
_LEAST_FILES = 8
"""Open files, without which nothing can be done."""


class _Commands(LazyCommands):
    texts = COMMANDS

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in ("follow", "run", "serve"):
            # Stopping a server that is still loading is a clean stop. (As process 1 it would ignore the signal.)
            signal.signal(signal.SIGTERM, _exit_done)
        if name == "run":
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return super().get_command(ctx, name)


def _exit_done(_number: int, _frame: object) -> None:
    os._exit(ExitCode.DONE)


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try it without a key: pipeline collect --sandbox\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 3 configuration or key, 4 partial, 5 quota ended, 6 busy, 7 stale,"
    " 130 interrupted.",
)
@global_options
@click.version_option(__version__, prog_name="pipeline")
@click.pass_context
def pipeline(ctx: click.Context, /, options: Options) -> None:
    """Keep a history of Alpha Vantage's company OVERVIEW data.

    The API only knows today's values. This program requests them on schedule, within your plan's limits, and stores
    each version as a snapshot in SQLite.
    """
    ctx.obj = options
    if ctx.invoked_subcommand in _QUESTIONS:
        end_with_reader()


def main() -> None:
    """Be the process `pipeline`: run the command line, with a watchdog where signals have to end a run in order."""
    open_standard_streams()
    if _WATCHED.intersection(sys.argv[1:]):
        watchdog.start()
    run_command_line()


def run_command_line() -> None:
    """Run the command line and exit with the command's exit code."""
    code: int = ExitCode.DONE
    sys.excepthook = lambda *crash: _error_output().print_traceback(*crash)
    if isinstance(sys.stdout, TextIOWrapper):
        # Escape what a terminal of another encoding cannot show, rather than fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()  # its reader has gone (`| head`): end quietly
    except OSError as error:
        _discard_output()
        few = exhausted(error)
        _error_output().print_line(str(few or f"{error.filename or 'standard output'}: {file_reason(error)}"))
        code = ExitCode.FAILED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    _exit_without(UNWAITED, code)


def _exit_without(prefix: str, code: int) -> NoReturn:
    """Exit without waiting for threads of this name: Python would wait, but a DNS lookup cannot be cancelled."""
    unwaited = [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]
    for thread in unwaited:
        thread.join(_GRACE_SECONDS)  # idle ones end by themselves
    if any(thread.is_alive() for thread in unwaited):
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _discard_output() -> None:
    """Discard what is still buffered: exit would try to write it to a closed stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run() -> int:
    try:
        check_resources(threads=0, files=_LEAST_FILES)
        code = pipeline.main(prog_name="pipeline", standalone_mode=False)
    except Trouble as trouble:
        _error_output().print_line(str(trouble))
        return trouble.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.ClickException as error:
        _print_error(error)
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    except SystemExit as ended:
        if ended.code == 0:
            return ExitCode.DONE  # shell completion
        raise BrokenPipeError from None  # how click and rich respond to a closed pipe
    return int(code or ExitCode.DONE)


def _error_output() -> ModuleType:
    """Import the module that prints errors: without one, a command need not load what knows the secrets."""
    return importlib.import_module("pipeline.cli.error_output")


def _print_error(error: click.ClickException) -> None:
    """Print the error on one line, for a usage error with the help to read."""
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f" ({error.ctx.command_path} --help)"
    _error_output().print_line(f"{error.format_message()}{hint}")
