"""Try the network for `doctor --online`. A module of its own: only that needs aiohttp, which takes long to import."""

from datetime import timedelta

from pipeline import instants
from pipeline.api.probe import probe
from pipeline.api.reachability import Answer, Reason
from pipeline.cli.event_loop import run_async
from pipeline.settings.load import Settings

_LONGEST_WAIT = timedelta(seconds=10)


def try_network(settings: Settings) -> Answer | Reason:
    """Return what the API's host answers to one request without the key, or why it does not."""
    proxy = None if settings.proxy is None else settings.proxy.url
    within = min(settings.timeout, _LONGEST_WAIT)
    return run_async(probe(settings.base_url, proxy=proxy, within=within, now=instants.utc_now))
