"""The command line: `pipeline VERB`. A verb's module is imported when the verb is called: each answers at once."""

import difflib
import importlib
import os
import signal
import sys
import threading
from io import FileIO, TextIOWrapper
from keyword import iskeyword

import click

from pipeline import __version__
from pipeline.cli.options import Options, global_options
from pipeline.errors import ExitCode, Trouble, file_reason

COMMANDS = {
    "init": "Write a commented configuration and a .env to fill in.",
    "collect": "Ask for every overview that is due, and keep the answers.",
    "run": "Be the daemon: collect on schedule, until stopped.",
    "plan": "Show what is due, what it costs and how long it takes; sends nothing.",
    "schedule": "Show the next fire times of each schedule, in its zone and in UTC.",
    "health": "Tell in one line whether the daemon and its record are well; ends with 7 if not.",
    "status": "Show the last run, the quota left, what is stale, and drift.",
    "history": "Show one company through time; --plot draws it.",
    "as-of": "Show what was known at an instant, and how stale that was.",
    "changes": "List what changed, from what to what, and between which looks.",
    "vintages": "List each reported value by fiscal quarter, and when we knew it.",
    "export": "Write the record for other tools: Parquet, CSV, JSON Lines.",
    "import": "Take in recordings made elsewhere.",
    "runs": "List past runs, or one run's outcomes.",
    "symbols": "List the configured symbols with what is known of each.",
    "config": "Show every setting and where it came from.",
    "doctor": "Check machine, file and configuration, with a remedy for each finding.",
    "backup": "Copy the database to a file, while it is in use.",
    "sandbox": "Serve the stand-in API, to try everything without a key.",
}

UNWAITED = "unwaited"
"""How the threads are called that the end of the process does not wait for."""
_STDOUT, _STDERR = 1, 2
_MOMENT = 0.05
"""Seconds that it does wait, so that nothing is broken off that is about to end."""


class _Commands(click.Group):
    """Knows every verb's one line; imports a verb's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        if name == "run":
            # A daemon that is told to end while it loads has ended in order. (As process 1 it would not end at all.)
            signal.signal(signal.SIGTERM, _leave)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        command: click.Command = importlib.import_module(f"pipeline.cli.commands.{_module(name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such verb: {args[0]}{_nearest(args[0])}")
        return super().resolve_command(ctx, args)


def _leave(_number: int, _frame: object) -> None:
    os._exit(ExitCode.DONE)


def _module(verb: str) -> str:
    """Return the name of a verb's module: the verb, as Python lets it be written."""
    return f"{verb}_" if iskeyword(verb) else verb.replace("-", "_")


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {near[0]}?" if near else ""


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: pipeline collect --sandbox. Exit codes: 0 done, 1 failed, 2 usage, 3 configuration or key,"
    " 4 partial, 5 quota ended, 6 busy, 7 stale, 130 interrupted.",
)
@global_options
@click.version_option(__version__, prog_name="pipeline")
@click.pass_context
def pipeline(ctx: click.Context, /, options: Options) -> None:
    """Keep the history that Alpha Vantage's company OVERVIEW does not.

    Collects overviews within your plan's limits and keeps every answer as a snapshot in SQLite.
    """
    ctx.obj = options


def main() -> None:
    """Run the command line, and end the process with the verb's exit code."""
    code: int = ExitCode.DONE
    _open_standard_streams()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal of another encoding gets what it cannot show as an escape, not a traceback.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()  # its reader is gone (`| head`): end quietly
    except OSError as error:
        _discard_output()
        click.echo(f"pipeline: {error.filename or 'standard output'}: {file_reason(error)}", err=True)
        code = ExitCode.FAILED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    unwaited = [thread for thread in threading.enumerate() if thread.name.startswith(UNWAITED)]
    for thread in unwaited:
        thread.join(_MOMENT)  # those that do nothing end by themselves
    if any(thread.is_alive() for thread in unwaited):
        # Python would wait for them: a DNS query cannot be broken off, and takes its time.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _open_standard_streams() -> None:
    """Open on nothing what the caller closed of stdin, stdout and stderr (`2>&-`).

    A file of ours would take the number of one that is closed, and with it what is meant for the stream; and uvloop
    aborts the process when it comes to close a number so low.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = TextIOWrapper(FileIO(_STDOUT, "w", closefd=False), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = TextIOWrapper(FileIO(_STDERR, "w", closefd=False), encoding="utf-8", line_buffering=True)


def _discard_output() -> None:
    """Let nothing more be flushed to where nothing can be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run() -> int:
    try:
        code = pipeline.main(prog_name="pipeline", standalone_mode=False)
    except Trouble as trouble:
        click.echo(f"pipeline: {trouble}", err=True)
        return trouble.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.ClickException as error:
        _tell(error)
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    except SystemExit:
        # Thus click and rich answer a closed pipe, each in its own way: one of them ends with 1.
        raise BrokenPipeError from None
    return int(code or ExitCode.DONE)


def _tell(error: click.ClickException) -> None:
    """Say what is wrong in one line, and where help is if it was the words that were wrong."""
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f" ({error.ctx.command_path} --help)"
    click.echo(f"pipeline: {error.format_message()}{hint}", err=True)
