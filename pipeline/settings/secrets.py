"""Secrets: the API key, the URLs for notifications and pings, the web token; what all output hides is listed here.

No error repeats one, and none may be logged.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path

from pipeline.errors import file_reason
from pipeline.files import WrongEncoding, is_present, read_text
from pipeline.model.symbols import Symbol
from pipeline.redaction import Redaction, without_lookalikes
from pipeline.settings.addresses import check_url
from pipeline.settings.environment import (
    API_KEY,
    API_KEY_FILE,
    NOTIFY_URLS,
    PING_URL,
    WEB_TOKEN,
    Environment,
    variable_of,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.key_forms import mistake_in
from pipeline.settings.near_misses import misnamed_key
from pipeline.settings.proxies import Proxy, secrets_in

FREE_KEY = "a free one: alphavantage.co/support/#api-key"
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


def key_variable(environment: Environment) -> str | None:
    """Return the variable that the API key is taken from, None if none is set.

    A variable that is not empty comes before one that is: the `.env` of `pipeline init` begins with an empty key. Of
    two that are not empty, the environment's comes before that of `.env`.
    """
    names = [name for name in (API_KEY, API_KEY_FILE) if name in environment.variables]
    return min(
        names, key=lambda name: (not environment.variables[name].strip(), name in environment.from_dotenv), default=None
    )


def api_key(environment: Environment, *, sandboxed: str = "pipeline collect --sandbox") -> str:
    """Return the API key. Raise SettingsError if there is none, or if it cannot be a key.

    `sandboxed` is the command that needs none.
    """
    name = key_variable(environment)
    if name is None or not environment.variables[name].strip():
        raise _no_key(environment, name, sandboxed)
    value = environment.variables[name]
    if name == API_KEY:
        return _checked_key(value, environment.origin(name), sandboxed)
    path = Path(value)
    try:
        text = read_text(path)
    except WrongEncoding as error:
        raise SettingsError(f"{environment.origin(name)}: {path}: {error}", remedy=error.remedy) from None
    except (OSError, ValueError) as error:
        # A relative name of no file is not repeated: it may well be the key.
        shown = str(path) if path.is_absolute() or _is_present(path) else "the file that it names"
        raise SettingsError(
            f"{environment.origin(name)}: {shown} cannot be read ({file_reason(error)})",
            remedy=f"name a text file that holds the key; the key itself belongs in {API_KEY}",
        ) from None
    return _checked_key(text, str(path), sandboxed)


def _is_present(path: Path) -> bool:
    with suppress(OSError):
        return is_present(path)
    return False


def redaction(environment: Environment, proxy: Proxy | None = None) -> Redaction:
    """Return what hides every secret that is set, be it valid or not. Raise nothing: errors are redacted by it.

    `proxy`: the configured one, if it is known yet: its password may be in the file.
    """
    variables = environment.variables
    keys = [variables.get(API_KEY, "")]
    with suppress(OSError, ValueError):
        if file := variables.get(API_KEY_FILE):
            keys.append(read_text(Path(file))[:_LONGEST_KEY])
    urls = variables.get(NOTIFY_URLS, "")
    proxies = (variables.get(variable_of("source.proxy"), ""), "" if proxy is None else proxy.url)
    addresses = [*_NEXT_URL.split(urls.strip()), urls, variables.get(PING_URL, "")]
    addresses += [variables.get(name, "") for name in (WEB_TOKEN, _TOKEN_AS_KEY)]  # hidden whole: it may hold words
    return Redaction(keys, addresses=[*addresses, *chain.from_iterable(map(secrets_in, proxies))])


def refuse_keys(symbols: Iterable[Symbol], redact: Redaction) -> None:
    """Raise SettingsError if one of the symbols is an API key: it would be sent, stored and shown as a symbol."""
    if any(redact.finds_key(symbol.encode()) or without_lookalikes(symbol) != symbol for symbol in symbols):
        raise SettingsError("one of the symbols looks like an API key", remedy=f"remove it; a key belongs in {API_KEY}")


def _no_key(environment: Environment, name: str | None, sandboxed: str) -> SettingsError:
    """Return the error for a key that is not set. It names a variable that seems to hold one under another name."""
    if misnamed := misnamed_key(environment):
        found, right = misnamed
        return SettingsError(f"no API key: {found} is set, which is not read", remedy=f"rename it to {right}")
    if name is None:
        return SettingsError("no API key", remedy=f"set {API_KEY}, write it into .env, or try without: {sandboxed}")
    return _empty_key(environment.origin(name), sandboxed)


def _empty_key(origin: str, sandboxed: str) -> SettingsError:
    remedy = f"fill it in ({FREE_KEY}), or try without: {sandboxed}"
    return SettingsError(f"{origin}: the API key is empty", remedy=remedy)


def _checked_key(text: str, origin: str, sandboxed: str) -> str:
    key = text.strip()
    if not key:
        raise _empty_key(origin, sandboxed)
    if (mistake := mistake_in(key)) is not None:
        raise SettingsError(f"{origin}: invalid API key: {mistake.problem}", remedy=mistake.remedy)
    return key


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
    if token == environment.variables.get(API_KEY, "").strip():
        raise SettingsError(
            f"{environment.origin(WEB_TOKEN)} is the API key",
            remedy="make one of its own, as clients get it: openssl rand -hex 24",
        )
    return token
