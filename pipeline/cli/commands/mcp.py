"""`pipeline mcp`: answer AI agents over standard input and output, until their client closes it."""

import click

from pipeline import extras
from pipeline.agents.record import Record
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import Options, examples, global_options
from pipeline.cli.scope import lookout_of
from pipeline.cli.signals import stoppable
from pipeline.cli.time_lock import TimeLock, time_lock_option
from pipeline.cli.verbosity import configure_logs
from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.settings.secrets import redaction

_LAST_RESORT = 2.0
"""Seconds after a signal at which the process ends, whatever hangs. Clients kill after two or three."""


@click.command(
    epilog=examples(
        "pipeline mcp",
        "pipeline mcp --as-of 2026-03-14",
        "pipeline mcp --database data/sandbox.db -v",
        "claude mcp add overviews -- pipeline mcp --database ~/data/overviews.db",
    )
)
@time_lock_option
@global_options
def command(options: Options, *, lock: TimeLock | None) -> None:
    """Give AI agents the record as tools: the Model Context Protocol over standard input and output.

    A client starts it: docs/agents.md says how to add it to Claude, Cursor, VS Code or Codex. Every tool takes the
    instant to answer for. It ends when the client closes its input, and on Ctrl-C. With -v it logs each call to stderr.
    """
    stdio = extras.agents()
    variables = read_environment()
    configure_logs(options, redact=redaction(variables))
    settings = load_settings(options, variables)
    record = Record(
        settings.database,
        utc_now,
        None if lock is None else lock.at,
        settings.stale_after,
        lookout=lookout_of(settings, variables),
    )
    about = "now and any past instant" if lock is None else str(lock)
    options.say(f"answering agents from {settings.database}, about {about}; stop with Ctrl-C")

    async def serve() -> None:
        received = stdio.StoppableInput()
        with stoppable(received.stop, last_resort=_LAST_RESORT, exit_code=ExitCode.DONE):
            await stdio.serve(record, received)

    run_async(serve())
