"""Answers: the stand-in API's documents and refusals, as HTTP bodies.

The API's refusals are recognised by phrases. Those are the API's here; the sentences around them are the sandbox's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from pipeline.model.document import as_sent
from pipeline.quota.limits import PERIODS, Limit
from pipeline.text import shown

JSON = "application/json"
DEMO_SYMBOL = "IBM"
"""The one symbol that the key `demo` gets."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer to a request."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] | None = None

    def response(self) -> web.Response:
        """Return a new response: one can be sent only once."""
        headers = {"Content-Type": self.content_type, **(self.headers or {})}
        return web.Response(body=self.body, status=self.status, headers=headers)


def render(document: Mapping[str, object]) -> Answer:
    """Return the document as the API writes it."""
    return Answer(as_sent(dict(document)).encode())


def _refusal(key: str, text: str) -> Answer:
    return render({key: text})


def _daily_quota(apikey: str, limit: Limit) -> Answer:
    rate = f"our standard API rate limit is {limit.count} requests per day"
    text = f"We have detected your API key as {apikey} and {rate}. The sandbox answers again after a day."
    return _refusal("Information", text)


_AMBIGUOUS = _refusal(
    "Information",
    "In the sandbox, too, consider spreading out your free API requests more sparingly (1 request per second). The API "
    "says so after a burst, at the end of the daily quota (requests per day), and for what a free key may not have.",
)
_MINUTE = _refusal("Information", "Minute-level rate limit exceeded: the sandbox answers again after a minute.")


def _burst(limit: Limit) -> Answer:
    text = f"Burst pattern detected by the sandbox: please query no more than {limit.count} requests per second."
    return _refusal("Information", text)


KEY_MISSING = _refusal(
    "Error Message", "In the sandbox, too, the parameter apikey is invalid or missing. Use any key except demo."
)
DEMO_REFUSED = _refusal(
    "Information",
    f"The **demo** API key is for demo purposes only: from the sandbox it gets {DEMO_SYMBOL} alone.",
)
INVALID_CALL = _refusal("Error Message", "Invalid API call: the sandbox needs a symbol for OVERVIEW.")


def unknown_function(name: str) -> Answer:
    """Return the refusal of a function other than the two that the sandbox has."""
    text = f"This API function ({shown(name)}) is not in the sandbox: use OVERVIEW or LISTING_STATUS."
    return _refusal("Error Message", text)


def refuse_over(limit: Limit, limits: Sequence[Limit], apikey: str) -> Answer:
    """Return the refusal of a request over this limit. With a day's limit in the plan, the API's is ambiguous."""
    if limit.period >= PERIODS["day"]:
        return _daily_quota(apikey, limit)
    if any(other.period >= PERIODS["day"] for other in limits):
        return _AMBIGUOUS
    return _burst(limit) if limit.period <= PERIODS["second"] else _MINUTE
