"""Agreeing: joins the fleet with the settings in force, or, if the fleet refuses those, with what is configured now."""

from collections.abc import Callable

import structlog

from pipeline.daemon.config import DaemonConfig
from pipeline.errors import Trouble
from pipeline.fleet.agreement import Disagreement
from pipeline.fleet.invented import refuse_mixing
from pipeline.fleet.joining import join, with_other_symbols
from pipeline.fleet.members import Membership
from pipeline.fleet.pool import Pool


async def join_with(pool: Pool, membership: Membership, name: str, config: DaemonConfig) -> None:
    """Join with this configuration. Raise InventedFleet, Disagreement, NameTaken, FleetError."""
    await refuse_mixing(pool, config.source.base_url)
    await join(
        pool,
        membership,
        name,
        keys=config.source.keys,
        schedules=config.schedules,
        symbols=config.listed.symbols,
        plans=config.plans,
    )
    others = await with_other_symbols(pool, name)
    if others and others != membership.others_with_other_symbols:
        log = structlog.get_logger()
        log.warning("the lists of symbols differ: each run has those of who begins it", members=others)
    membership.others_with_other_symbols = others


async def join_again(
    pool: Pool,
    membership: Membership,
    name: str,
    config: DaemonConfig,
    reload_config: Callable[[], DaemonConfig],
) -> DaemonConfig | None:
    """Join with what is in force here; if the fleet agrees about something else by now, with what is configured by now.

    Return what then is to be put in force, None if it is what was. A process that begins has just read it. Raise
    Disagreement if that differs, too, or cannot be read, and what `join_with` raises.
    """
    try:
        await join_with(pool, membership, name, config)
    except Disagreement as difference:
        if not membership.is_joined:
            raise
        log = structlog.get_logger()
        log.warning(
            "the fleet has agreed about something else: reading the configuration again", reason=str(difference)
        )
        membership.disagrees = True
        try:
            new = reload_config()
        except Trouble as trouble:
            log.error("the configuration cannot be read", error=str(trouble))  # noqa: TRY400 - the message says it all
            raise difference from None
    else:
        return None
    await join_with(pool, membership, name, new)
    membership.disagrees = False
    return new
