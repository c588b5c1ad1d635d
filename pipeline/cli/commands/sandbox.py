"""`pipeline sandbox`: the stand-in API, by itself."""

import asyncio
import signal
from collections.abc import Callable
from datetime import date, datetime, timedelta

import click

from pipeline import instants
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import Options, day_option, global_options, json_option
from pipeline.cli.output import print_json
from pipeline.errors import Trouble, file_reason
from pipeline.quota.limits import PLANS
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi

UNLIMITED = "none"


@click.command(
    epilog="Examples: pipeline sandbox --port 8321 --plan premium-75; pipeline sandbox --listing > symbols.csv"
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Loopback port [a free one].")
@click.option("--latency", type=click.IntRange(0, 60_000), default=0, help="Milliseconds to each answer [0].")
@click.option("--plan", type=click.Choice([*PLANS, UNLIMITED]), default="free", help="Whose limits it enforces [free].")
@day_option("The day that its companies live in [today].")
@click.option("--seed", type=int, default=0, help="Another seed, other companies [0].")
@click.option("--listing", is_flag=True, help="Print its LISTING_STATUS csv, which symbols.file takes, and end.")
@json_option
@global_options
def command(
    options: Options,
    *,
    port: int,
    latency: int,
    plan: str,
    day: datetime | None,
    seed: int,
    listing: bool,
    as_json: bool,
) -> None:
    """Serve invented companies over HTTP on this machine, with a plan's limits and the API's refusals.

    Point source.base_url at the address it prints; any key will do. It ends with Ctrl-C.
    """
    companies = Companies(seed)
    if listing:
        click.echo(companies.listing((day or instants.utc_now()).date()), nl=False)
        return
    api = SandboxApi(
        companies=companies,
        limits=() if plan == UNLIMITED else PLANS[plan],
        day=_living(day),
        latency=timedelta(milliseconds=latency),
    )
    run_async(_serve(api, port, options, as_json=as_json))


def _living(day: datetime | None) -> Callable[[], date]:
    """Return the day that the companies live in: the given one for ever, else whichever it is."""
    return day.date if day is not None else lambda: instants.utc_now().date()


async def _serve(api: SandboxApi, port: int, options: Options, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        async with api.serve(port=port) as base_url:
            if as_json:
                print_json({"base_url": base_url})
            else:
                click.echo(base_url)
            options.say("serving invented companies; Ctrl-C ends it. In another terminal:")
            options.say(f"  ALPHAVANTAGE_API_KEY=any PIPELINE_SOURCE__BASE_URL={base_url} pipeline collect QUVEX")
            await stopped.wait()
    except OSError as error:
        raise Trouble(f"port {port} cannot be used: {file_reason(error)}; try another") from None
    options.say(f"requests seen: {api.requests:,}; over a limit: {api.refused:,}")
