"""The heart: beats for as long as the process lives, and checks its clocks and whether its store answers."""

from collections.abc import Callable, Coroutine

import structlog

from pipeline.clock import Clock
from pipeline.daemon import systemd
from pipeline.daemon.clock_watch import ClockWatch
from pipeline.daemon.status import DaemonStatus
from pipeline.daemon.store_probe import StoreProbe
from pipeline.monitoring import heartbeat


async def beat(
    status: DaemonStatus,
    probe: StoreProbe,
    clock_watch: ClockWatch,
    clock: Clock,
    *,
    ask_store: Callable[[], Coroutine[None, None, None]],
    report: Callable[[], None],
    check_clock: Callable[[], None],
    wake: Callable[[], None],
) -> None:
    """Write a heartbeat and check the clocks every `heartbeat.PERIOD`, whatever else happens; until cancelled."""
    log = structlog.get_logger()
    period = min(heartbeat.PERIOD, (systemd.watchdog_period() or 2 * heartbeat.PERIOD) / 2)
    while True:
        beat_at = clock.monotonic()
        try:
            probe.start(ask_store)
            status.beat()
            report()
        except Exception:
            log.exception("heartbeat failed")
        await clock.sleep(period.total_seconds())
        try:
            check_clock()
            clock_watch.check_timer(since=beat_at)
        except Exception:
            log.exception("clock check failed")
        wake()
