"""`pipeline import FILE...`: recordings made elsewhere."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import Instant, Options, global_options, json_option
from pipeline.cli.output import print_json, print_table, shown
from pipeline.cli.progress import step_progress
from pipeline.cli.signals import interruptible
from pipeline.cli.verbosity import configure_logs
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.store import lock
from pipeline.store.database import refuse_foreign
from pipeline.store.migrate import migrate
from pipeline.transfer.archives import Bad, check, recordings, size
from pipeline.transfer.importing import Import, Refused, import_recordings

_NAMED = 100
"""So many bad lines are named; the rest are counted, unless -v is given."""


@click.command(
    name="import",
    epilog="Examples: pipeline import daily.jsonl.gz; zcat old/*.gz | pipeline import -;"
    " pipeline import 2024-03-14/ --observed-at 2024-03-14",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--observed-at",
    type=Instant(day_ends=True),
    help="When that was received which does not say so itself; a date means its end, UTC.",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad line.")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=60, help="Seconds to wait for another process to end [60]."
)
@json_option
@global_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    files: tuple[Path, ...],
    observed_at: datetime | None,
    strict: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Put recordings into the record, in whatever order they come, and however often.

    A FILE is JSON Lines, gzipped or not, - for standard input: objects of "symbol", "observed_at" and "body" (the
    answer's text) or "document" (its JSON). Or a folder of SYMBOL.json files, with --observed-at. Each answer is sorted
    as a live one would be: a refusal becomes no snapshot. A snapshot that is kept is never replaced.
    """
    sources = [None if str(file) == "-" else file for file in files]
    check(sources, observed_at)
    settings = load_settings(options)
    configure_logs(options, secrets=[])
    refuse_foreign(settings.database)
    sizes = [size(source) for source in sources]
    halt, begun = Halt(), asyncio.Event()
    named = _Named(options)

    async def once() -> Import:
        with interruptible(halt, lambda: _nothing if begun.is_set() else None, options):
            async with lock.hold_lock(
                settings.database,
                "import",
                max_wait=timedelta(seconds=wait),
                now=instants.utc_now,
                sleep=asyncio.sleep,
                on_wait=options.say,
            ):
                now = instants.utc_now()
                migrate(settings.database, now=now)
                begun.set()
                total = None if None in sizes else sum(filter(None, sizes))
                with step_progress(options, "importing", total) as advanced:
                    lines = (
                        line
                        for source in sources
                        for line in recordings(source, observed_at=observed_at, now=now, advanced=advanced)
                    )
                    return await import_recordings(
                        settings.database,
                        lines,
                        strict=strict,
                        halt=halt,
                        named=named,
                        clock=Clock(),
                        troubled=options.say,
                    )

    try:
        done = run_async(once())
    except asyncio.CancelledError:
        ctx.exit(ExitCode.INTERRUPTED)
    named.end()
    with suppress(BrokenPipeError, SystemExit):
        if as_json:
            print_json(_json(done))
        elif not options.quiet:
            _print(done, settings.database)
    ctx.exit(done.exit_code)


def _nothing() -> None:
    """Between two chunks there is nothing to break off."""


class _Named:
    """Names bad lines on stderr: the first hundred, or all with -v."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._count = 0

    def __call__(self, bad: Bad) -> None:
        if isinstance(bad, Refused):
            if self._options.verbose:
                self._options.say(f"{bad.place}: {bad.why}")
            return
        self._count += 1
        if self._count <= _NAMED or self._options.verbose:
            self._options.say(f"{bad.place}: {bad.why}")

    def end(self) -> None:
        """Say how many were not named."""
        if self._count > _NAMED and not self._options.verbose:
            self._options.say(f"and {self._count - _NAMED:,} more like these: -v names them all")


def _json(done: Import) -> dict[str, object]:
    return {
        "run": done.run,
        "trigger": Trigger.IMPORT,
        "status": done.status,
        "lines": done.lines,
        "symbols": len(done.symbols),
        **{outcome.value: done.counts[outcome] for outcome in Outcome},
        "refused": dict(done.refused),
        "conflicts": done.conflicts,
        "bad": done.bad,
        "seconds": round(done.seconds, 3),
        "detail": done.detail,
    }


def _print(done: Import, database: Path) -> None:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in done.refused.items())
    rows: list[tuple[str, int, str]] = [
        ("stored", done.counts[Outcome.STORED], "new: a snapshot more"),
        ("unchanged", done.counts[Outcome.UNCHANGED], "as seen before or known already: a look, or nothing more"),
        ("unknown", done.counts[Outcome.UNKNOWN], "the API did not cover the symbol"),
        ("refused", done.refused.total(), f"no overview (-v names them): {kinds}"),
        ("in conflict", done.conflicts, "another document is kept for that symbol and instant, and stays"),
        ("bad", done.bad, "could not be read: named above"),
    ]
    print_table(["looks", "count", ""], [row for row in rows if row[1]])
    click.echo()
    why = f": {shown(done.detail)}" if done.detail else ""
    rate = f", {done.lines / done.seconds:,.0f} a second" if done.seconds >= 1 else ""
    click.echo(f"run {done.run} is {done.status}{why}")
    click.echo(f"{done.lines:,} lines of {len(done.symbols):,} symbols took {done.seconds:.2f} s{rate}")
    click.echo(f"kept in {database}")
