"""`pipeline sandbox`: serve the simulated API on a local port."""

import asyncio
import errno
import signal
from collections.abc import Callable
from datetime import date, datetime, timedelta

import click

from pipeline import instants
from pipeline.cli.event_loop import run_async
from pipeline.cli.options import LARGEST_INTEGER, Options, Whole, day_option, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.errors import Trouble, file_reason
from pipeline.quota.limits import PLANS
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi

UNLIMITED = "none"


@click.command(
    epilog=examples("pipeline sandbox --port 8321 --plan premium-75", "pipeline sandbox --listing > symbols.csv")
)
@click.option("--port", metavar="N", type=Whole(0, 65_535), default=0, help="Local port [any free one].")
@click.option("--latency", metavar="MS", type=Whole(0, 60_000), default=0, help="Delay of each response [0].")
@click.option(
    "--plan", type=click.Choice([*PLANS, UNLIMITED]), default="free", help="Enforce this plan's limits [free]."
)
@day_option("The day to simulate [today].")
@click.option(
    "--seed", metavar="N", type=Whole(-LARGEST_INTEGER), default=0, help="Another seed invents other companies [0]."
)
@click.option("--listing", is_flag=True, help="Print its LISTING_STATUS csv (as symbols.file reads) and exit.")
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
    """Serve a simulated API with invented companies, a plan's limits and the API's error messages, on this machine.

    Set source.base_url to the URL it prints; it accepts any key. Stop it with Ctrl-C.
    """
    companies = Companies(seed)
    if listing:
        for line in companies.listing((day or instants.utc_now()).date()).splitlines():
            print_line(line)
        return
    api = SandboxApi(
        companies=companies,
        limits=() if plan == UNLIMITED else PLANS[plan],
        day=_days(day),
        latency=timedelta(milliseconds=latency),
    )
    run_async(_serve(api, port, options, as_json=as_json))


def _days(day: datetime | None) -> Callable[[], date]:
    """Return a function that returns the given day, or without one the current day (UTC)."""
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
                print_line(base_url)
            options.say("serving invented companies; stop with Ctrl-C. In another terminal:")
            options.say(f"  ALPHAVANTAGE_API_KEY=any PIPELINE_SOURCE__BASE_URL={base_url} pipeline collect QUVEX")
            await stopped.wait()
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        problem = f"port {port} is in use" if in_use else f"port {port} cannot be used ({file_reason(error)})"
        raise Trouble(problem, remedy="choose another --port") from None
    options.say(f"requests received: {api.requests:,}; over a limit: {api.refused:,}")
