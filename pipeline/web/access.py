"""Access: who is answered. Only under names of this machine, only what sends the token, and no other site's scripts."""

import base64
import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from pipeline.errors import Trouble
from pipeline.web.ask import AS_OF
from pipeline.web.hosts import is_own_host
from pipeline.web.refusals import Refusal

_TAKE_APIKEY = ("/query", f"{AS_OF}{{instant}}/query")
"""The routes whose clients can send a token as the parameter `apikey` alone."""
CHALLENGES = ('Basic realm="overview-pipeline", charset="UTF-8"', 'Bearer realm="overview-pipeline"')


class TokenMissing(Refusal):
    """A request without the token, or with another one."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.UNAUTHORIZED,
            "this server answers those who send its token",
            remedy="send it as a bearer token, as the password of HTTP Basic, or to /query as apikey",
        )


@dataclass(frozen=True, slots=True)
class Access:
    """Who is answered."""

    own_names: Collection[str]
    """Names of this machine, in lower case, besides its addresses, by which it may be called."""
    hosts_key: str = "status.allowed_hosts"
    """The key of the configuration that adds to them."""
    token: str | None = None
    """What clients have to send for anything but the health checks; None: nothing."""

    def refusal(self, request: web.Request, *, is_probe: bool) -> Trouble | None:
        """Return why a request is refused, None if it is not.

        A health check may come without a token, and by HTTP/1.0 without a Host: an orchestrator has none of them.
        """
        hosts = request.headers.getall("Host", ())
        if not all(is_own_host(host, self.own_names) for host in hosts):
            return Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "not a name of this machine (DNS rebinding?)",
                remedy=f"use its address or localhost, or add the name to {self.hosts_key} in the configuration",
            )
        if is_probe:
            return None
        if len(hosts) != 1:
            return Refusal(HTTPStatus.BAD_REQUEST, "send one Host header")
        if _is_embedded_elsewhere(request):
            return Refusal(HTTPStatus.FORBIDDEN, "another site's page may link here, and cannot read or embed anything")
        if self.token is not None and not any(_are_equal(self.token, sent) for sent in _tokens(request)):
            return TokenMissing()
        return None


def _is_embedded_elsewhere(request: web.Request) -> bool:
    """Whether a browser asks for a part of another site's page: its scripts could measure what they cannot read."""
    sent = request.headers.get
    return sent("Sec-Fetch-Site") == "cross-site" and sent("Sec-Fetch-Mode") != "navigate"


def _are_equal(token: str, sent: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(token.encode(), sent.encode(errors="surrogatepass"))


def _tokens(request: web.Request) -> Iterator[str]:
    """Yield what a request sends as the token."""
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        yield credentials.strip()
    if scheme.lower() == "basic":
        yield _password(credentials.strip())
    if takes_apikey(request):
        yield from request.query.getall("apikey", ())


def takes_apikey(request: web.Request) -> bool:
    """Whether clients of the API send this request."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in _TAKE_APIKEY


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:  # no base64, or no UTF-8
        return ""
