"""A run of `pipeline collect` on a machine of a fleet."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from pipeline import extras
from pipeline.cli.api_source import source
from pipeline.cli.exclusive import FOLLOWING, exclusive_run
from pipeline.cli.options import Options
from pipeline.cli.run_progress import collection_progress
from pipeline.cli.signals import interruptible
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order
from pipeline.collect.summary import Summary
from pipeline.quota.keys import ApiKey
from pipeline.settings.fleet import Fleet
from pipeline.settings.load import Settings
from pipeline.store.lock import Busy
from pipeline.store.record import Begin


async def collect_in_fleet(
    settings: Settings,
    fleet: Fleet,
    url: str,
    order: Order,
    options: Options,
    *,
    keys: tuple[ApiKey, ...],
    begin: Begin,
) -> Summary:
    """Do a run by this process alone, within the fleet's quota. The file follows then, if no process has it."""
    with extras.fleet():
        from pipeline.daemon.follower import catch_up  # noqa: PLC0415 - an extra
        from pipeline.fleet.alone import collect_alone  # noqa: PLC0415 - an extra
    halt = Halt()
    async with collection_progress(options) as progress:
        with interruptible(halt, progress.cancel_requests, options):
            summary = await collect_alone(
                url,
                fleet.name,
                source(settings, settings.base_url, keys),
                order,
                schedules=settings.schedules,
                symbols=settings.all_symbols,
                plans=settings.plans,
                halt=halt,
                on_start=progress.started,
            )
    with suppress(Busy):
        async with exclusive_run(
            settings.database,
            FOLLOWING,
            begin=begin,
            limits=settings.limits,
            renames=settings.configured_renames,
            max_wait=timedelta(),
            options=options,
            announce=options.say,
        ):
            await catch_up(settings.database, url, on_progress=lambda _seq, _head: None)
    return replace(summary, blocks=progress.blocks)
