"""Live: what is said of the present alone: the quota, the daemon, the file. Answers about the past have none of it."""

from dataclasses import dataclass

from pipeline.monitoring.daemon_sign import DaemonSign
from pipeline.monitoring.status import Status
from pipeline.web.ask import Ask


@dataclass(frozen=True, slots=True)
class Live:
    """What is known of the present."""

    status: Status
    daemon: DaemonSign | None


async def live_of(ask: Ask) -> Live | None:
    """Return what an answer may say of the present; None for one about the past, and where nothing is stored yet."""
    read, daemon = ask.site.live, ask.site.daemon
    if ask.is_past or read is None:
        return None
    status = await read(ask.version)
    if status is None:
        return None
    return Live(status, None if daemon is None else await daemon(ask.version))
