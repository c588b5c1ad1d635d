"""Invented data: whether the fleet's log has companies of the sandbox. They are not mixed with real ones."""

from pipeline.decoding import decode_object
from pipeline.errors import ExitCode, Trouble, Undecodable
from pipeline.fleet.pool import Pool, fetch
from pipeline.model.invented import is_invented
from pipeline.settings.schema import SourceTable


class InventedFleet(Trouble):
    """Real data would be mixed into a fleet's invented data."""

    exit_code = ExitCode.REFUSED


async def refuse_mixing(pool: Pool, base_url: str) -> None:
    """Raise InventedFleet if this machine asks the real API, and the fleet's data is invented. Raise FleetError."""
    if base_url == SourceTable().base_url and await has_invented_data(pool):
        raise InventedFleet(
            "the fleet holds invented data of the sandbox: real data would be mixed into it",
            remedy="make a fleet of its own for real data, in another PostgreSQL database",
        )


async def has_invented_data(pool: Pool) -> bool | None:
    """Return whether the fleet's log has companies of the sandbox; None if it has no company yet. Raise FleetError."""
    rows = await fetch(pool, _FIRST_ANSWER)
    if not rows:
        return None
    try:
        return is_invented(decode_object(rows[0][0]).get("Description"))
    except Undecodable:
        return False


_FIRST_ANSWER = "SELECT body FROM fleet.log WHERE kind = 'answer' AND body IS NOT NULL ORDER BY seq LIMIT 1"
