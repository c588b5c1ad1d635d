"""Checks of the network: whether the API's host answers, its certificate is trusted, and the clock is right."""

import os
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from pipeline.api.reachability import Answer, Reason
from pipeline.api.server_time import MOST_OFF
from pipeline.doctor.findings import Finding, Level
from pipeline.fleet.problems import span_text
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment
from pipeline.settings.load import Settings

MOST_AHEAD = timedelta(seconds=30)
"""How much a clock that NTP keeps may differ from the API's."""
_BUNDLE = "SSL_CERT_FILE"
_NAME_ONE = "compare the clock yourself, and let source.time_url name a host that says it"
_SET_IT = "set it, and keep it set by NTP: snapshots have its time"


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
            yield _clock(settings, network)


def _clock(settings: Settings, answer: Answer) -> Finding:
    """Return how far the clock is from the host's that says its time."""
    time_host = urlsplit(settings.time_url or "").hostname
    match answer.named:
        case None:
            if answer.ahead is not None:
                return _compared(answer.ahead, "the API's")
            return Finding(Kind.CLOCK, Level.NOTE, "the API's host does not say its time", _NAME_ONE)
        case Reason(problem, remedy):
            found = f"not compared: source.time_url: {time_host}: {problem}"
            return Finding(Kind.CLOCK, Level.PROBLEM, found, remedy)
        case Answer(ahead=ahead):
            if ahead is not None:
                return _compared(ahead, f"that of {time_host} (source.time_url)")
            found = f"not compared: source.time_url: {time_host} does not say its time, nor does the API's host"
            return Finding(Kind.CLOCK, Level.PROBLEM, found, _NAME_ONE)


def _compared(ahead: timedelta, whose: str) -> Finding:
    """Return the difference: a problem if a run would be refused for it."""
    found = f"{span_text(abs(ahead))} {'ahead of' if ahead > timedelta() else 'behind'} {whose}"
    if abs(ahead) > MOST_OFF:
        return Finding(Kind.CLOCK, Level.PROBLEM, f"{found}; more than {span_text(MOST_OFF)} is refused", _SET_IT)
    if abs(ahead) > MOST_AHEAD:
        return Finding(Kind.CLOCK, Level.NOTE, f"{found}; with NTP it is less than {span_text(MOST_AHEAD)}", _SET_IT)
    return Finding(Kind.CLOCK, Level.OK, found)


def check_certificates(variables: Environment) -> Iterator[Finding]:
    """Yield that the variable for certificates of one's own has no effect: TLS reads it from the process alone."""
    if _BUNDLE in variables.from_dotenv:
        remedy = "set it where the program is started"
        yield Finding(Kind.NETWORK, Level.NOTE, f".env: {_BUNDLE} has no effect: it is read from the process", remedy)
    elif (named := variables.variables.get(_BUNDLE)) and not os.access(named, os.R_OK):
        found = f"{_BUNDLE} names {named}, which cannot be read: it is ignored"
        yield Finding(Kind.NETWORK, Level.NOTE, found, "name a PEM file of certificates, or remove the variable")
