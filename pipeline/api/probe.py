"""The probe: one request that shows whether the API's host answers, without the key and without cost.

It is `HEAD /` on the host of the base URL: one connection, one TLS handshake, verified as for every other request. The
API counts requests to `/query` by their key; this one has neither, so that it cannot count, and its answer has the
`Date` that the clock is compared with.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import ClientError, ClientTimeout
from yarl import URL

from pipeline.api.client import Dropped, Sending, open_session, proxy_for
from pipeline.api.connection_errors import reason
from pipeline.api.reachability import Answer, Reason
from pipeline.api.server_time import dates

_HALF_A_SECOND = timedelta(seconds=0.5)
"""A `Date` has whole seconds: it is this much too early on average."""


async def probe(base_url: str, *, proxy: str | None, within: timedelta, now: Callable[[], datetime]) -> Answer | Reason:
    """Send the request. Return what the host answered, or the reason why it did not."""
    url = URL(base_url).origin() / ""
    sending = Sending()
    timeout = ClientTimeout(total=within.total_seconds())
    async with open_session(base_url, concurrency=1, reuse=False) as session:
        began = now()
        try:
            async with session.head(
                url, timeout=timeout, allow_redirects=False, proxy=proxy_for(base_url, proxy), trace_request_ctx=sending
            ) as response:
                took = now() - began
                *_, date = dates(response.headers) or (None,)
                ahead = None if date is None else began + took / 2 - date - _HALF_A_SECOND
                return Answer(response.status, took, ahead, date)
        except (ClientError, TimeoutError, ValueError, Dropped) as error:
            if sending.has_left and not isinstance(error, TimeoutError):
                return Reason("its answer is not HTTP, or not whole", "something else may answer there: check its URL")
            return reason(error)
