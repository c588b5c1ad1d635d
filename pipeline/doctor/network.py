"""Checks of the network: whether the API's host answers, its certificate is trusted, and the clock is right."""

import os
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from pipeline.api.reachability import Answer, Reason
from pipeline.doctor.findings import Finding, Level
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment
from pipeline.settings.load import Settings

MOST_AHEAD = timedelta(seconds=30)
"""How much a clock may differ from the API's."""
_BUNDLE = "SSL_CERT_FILE"
_NAME_ONE = "compare the clock yourself, and let source.time_url name a host that says it: it is asked after a reboot"


def check_network(settings: Settings, network: Answer | Reason | None) -> Iterator[Finding]:
    """Yield what the host answered, or why not, and whether the clock is right; None: it was not tried."""
    host = urlsplit(settings.base_url).hostname
    match network:
        case None:
            remedy = "pipeline doctor --online sends one request, without the key; it costs no quota"
            yield Finding(Kind.NETWORK, Level.NOTE, "network not tried", remedy)
        case Reason(problem, remedy):
            through = "" if settings.proxy is None else f", through the proxy {settings.proxy}"
            yield Finding(Kind.NETWORK, Level.PROBLEM, f"{host}{through}: {problem}", remedy)
        case Answer(status, took):
            encrypted = "over TLS" if settings.base_url.lower().startswith("https:") else "without TLS"
            milliseconds = took / timedelta(milliseconds=1)
            found = f"{host} answers {encrypted}, in {milliseconds:.0f} ms, with status {status}"
            yield Finding(Kind.NETWORK, Level.OK, found)
            yield from _clock(network)


def _clock(answer: Answer) -> Iterator[Finding]:
    if answer.ahead is None:
        yield Finding(Kind.CLOCK, Level.NOTE, "the API's host does not say its time", _NAME_ONE)
        return
    seconds = answer.ahead.total_seconds()
    found = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the API's"
    if abs(answer.ahead) > MOST_AHEAD:
        limit = f"{found}; more than {MOST_AHEAD.total_seconds():.0f} s is too much"
        yield Finding(Kind.CLOCK, Level.PROBLEM, limit, "set it, and keep it set by NTP: snapshots have its time")
    else:
        yield Finding(Kind.CLOCK, Level.OK, found)


def check_certificates(variables: Environment) -> Iterator[Finding]:
    """Yield that the variable for certificates of one's own has no effect: TLS reads it from the process alone."""
    if _BUNDLE in variables.from_dotenv:
        remedy = "set it where the program is started"
        yield Finding(Kind.NETWORK, Level.NOTE, f".env: {_BUNDLE} has no effect: it is read from the process", remedy)
    elif (named := variables.variables.get(_BUNDLE)) and not os.access(named, os.R_OK):
        found = f"{_BUNDLE} names {named}, which cannot be read: it is ignored"
        yield Finding(Kind.NETWORK, Level.NOTE, found, "name a PEM file of certificates, or remove the variable")
