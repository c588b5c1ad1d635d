"""Try the network for `doctor --online`. A module of its own: only that needs aiohttp, which takes long to import."""

from dataclasses import replace
from datetime import timedelta

from pipeline import instants
from pipeline.api.probe import probe
from pipeline.api.reachability import Answer, Reason
from pipeline.cli.event_loop import run_async
from pipeline.settings.load import Settings

_LONGEST_WAIT = timedelta(seconds=10)


def try_network(settings: Settings) -> Answer | Reason:
    """Return what the API's host answers to one request without the key, or why it does not.

    If it does not say its time, the host of `source.time_url` is asked, as a run asks it.
    """
    return run_async(_try_network(settings))


async def _try_network(settings: Settings) -> Answer | Reason:
    proxy = None if settings.proxy is None else settings.proxy.url
    within = min(settings.timeout, _LONGEST_WAIT)
    answer = await probe(settings.base_url, proxy=proxy, within=within, now=instants.utc_now)
    if settings.time_url is None or isinstance(answer, Reason) or answer.date is not None:
        return answer
    return replace(answer, named=await probe(settings.time_url, proxy=proxy, within=within, now=instants.utc_now))
