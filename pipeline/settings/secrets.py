"""Secrets: the URLs for notifications and pings, the web token; and what all output hides, with API keys and all else.

No error repeats one, and none may be logged.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from pipeline.files import read_text
from pipeline.model.symbols import Symbol
from pipeline.redaction import Redaction, without_lookalikes
from pipeline.settings.addresses import check_url
from pipeline.settings.environment import (
    API_KEY,
    FLEET_URL,
    FLEET_URL_FILE,
    NOTIFY_URLS,
    OF_FILE,
    PING_URL,
    WEB_TOKEN,
    Environment,
    variable_of,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import FLEET_URL_AS_KEY, secrets_in_url
from pipeline.settings.proxies import Proxy, secrets_in

_NEXT_URL = re.compile(r"\s*,\s*(?=[a-z][a-z0-9+.-]*://)|\s+", re.ASCII | re.IGNORECASE)
"""What separates two URLs. Other commas are part of a URL: mailto URLs have them between addresses."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.", re.ASCII | re.IGNORECASE)
_LONGEST_KEY = 1_000
"""Characters of a key file that are searched for: a wrong file may have any number."""
_TOKEN = re.compile(r"[!-~]{16,500}", re.ASCII)
"""A shorter one can be guessed, and other characters do not pass through every client as they are."""
_TOKEN_AS_KEY = variable_of("web.token")
"""The variable that it would have if it could be in the file."""
_NOT_IN_PING_URLS = " \\"
"""A backslash, because programs disagree on which host a URL with one names."""


def redaction(environment: Environment, proxy: Proxy | None = None) -> Redaction:
    """Return what hides every secret that is set, be it valid or not. Raise nothing: errors are redacted by it.

    `proxy`: the configured one, if it is known yet: its password may be in the file.
    """
    variables = environment.variables
    urls = variables.get(NOTIFY_URLS, "")
    proxies = (variables.get(variable_of("source.proxy"), ""), "" if proxy is None else proxy.url)
    addresses = [*_NEXT_URL.split(urls.strip()), urls, variables.get(PING_URL, "")]
    addresses += [variables.get(name, "") for name in (WEB_TOKEN, _TOKEN_AS_KEY)]  # hidden whole: it may hold words
    fleet = [
        variables.get(FLEET_URL, ""),
        variables.get(FLEET_URL_AS_KEY, ""),
        _start_of(variables.get(FLEET_URL_FILE)),
    ]
    addresses += chain(chain.from_iterable(map(secrets_in, proxies)), chain.from_iterable(map(secrets_in_url, fleet)))
    return Redaction(_keys(variables), addresses=addresses)


def _keys(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield what the variables of API keys hold, or the files that they name, whether a key of that name is known."""
    for name, value in variables.items():
        if name.startswith(API_KEY):
            yield _start_of(value) if name.endswith(OF_FILE) else value


def secret_files(environment: Environment) -> tuple[Path, ...]:
    """Return the files that hold secrets, as the variables name them, be they there or not."""
    named = [
        value
        for name, value in environment.variables.items()
        if name == FLEET_URL_FILE or (name.startswith(API_KEY) and name.endswith(OF_FILE))
    ]
    return tuple(Path(value) for value in named if value.strip() and "\0" not in value)


def _start_of(file: str | None) -> str:
    with suppress(OSError, ValueError):
        return read_text(Path(file))[:_LONGEST_KEY] if file else ""
    return ""


def refuse_keys(symbols: Iterable[Symbol], redact: Redaction) -> None:
    """Raise SettingsError if one of the symbols is an API key: it would be sent, stored and shown as a symbol."""
    if any(redact.finds_key(symbol.encode()) or without_lookalikes(symbol) != symbol for symbol in symbols):
        raise SettingsError("one of the symbols looks like an API key", remedy=f"remove it; a key belongs in {API_KEY}")


def refuse_key_names(names: Iterable[str], redact: Redaction) -> None:
    """Raise SettingsError if one of the names of keys and members is a key itself: it would be stored and shown."""
    if any(redact.finds_key(name.encode()) for name in names):
        raise SettingsError(
            "one of the names of [[keys]] or [fleet] is an API key",
            remedy=f"choose a name; the key belongs in {API_KEY}_<NAME>",
        )


def notify_urls(environment: Environment) -> tuple[str, ...]:
    """Return the URLs that notifications go to, none if none are set. Raise SettingsError for an invalid one."""
    urls = [url.rstrip(",") for url in _NEXT_URL.split(environment.variables.get(NOTIFY_URLS, "").strip(" \t\r\n,"))]
    urls = [url for url in urls if url]
    for number, url in enumerate(urls, start=1):
        if not _URL.match(url) or not url.isprintable():
            which = f" (number {number} of {len(urls)})" if len(urls) > 1 else ""
            raise SettingsError(
                f"{environment.origin(NOTIFY_URLS)}: invalid URL{which}",
                remedy="use URLs such as mailto://... or ntfy://..., separated by spaces or commas; a space within a"
                " URL is %20",
            )
    return tuple(urls)


def ping_url(environment: Environment) -> str | None:
    """Return the URL that is requested for every run, None if none is set. Raise SettingsError for an unsafe one."""
    url = environment.variables.get(PING_URL, "").strip()
    if not url:
        return None
    try:
        check_url(url, forbidden=_NOT_IN_PING_URLS, remedy="use one such as https://hc-ping.com/...")
    except SettingsError as error:
        raise error.at(environment.origin(PING_URL)) from None
    return url


def web_token(environment: Environment) -> str | None:
    """Return the token that clients of the web server have to send, None if none is set. Raise SettingsError."""
    if environment.variables.get(_TOKEN_AS_KEY, "").strip():
        raise SettingsError(f"{environment.origin(_TOKEN_AS_KEY)} is not read", remedy=f"rename it to {WEB_TOKEN}")
    token = environment.variables.get(WEB_TOKEN, "").strip()
    if not token:
        return None
    if not _TOKEN.fullmatch(token):
        raise SettingsError(
            f"{environment.origin(WEB_TOKEN)}: use 16 characters or more, of ASCII and without blanks",
            remedy="make one with: openssl rand -hex 24",
        )
    if token in (key.strip() for key in _keys(environment.variables)):
        raise SettingsError(
            f"{environment.origin(WEB_TOKEN)} is the API key",
            remedy="make one of its own, as clients get it: openssl rand -hex 24",
        )
    return token
