"""A crawl of two sites at once: every path, with parameters of every kind, and where their answers lead."""

import html
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from pipeline.pages.routes import ROUTES as PAGES
from pipeline.rest.routes import ROUTES as REST
from tests.support.observations import after
from tests.support.site import Got, SiteClient
from tests.support.two_futures import LOCK

ROUTES = (*PAGES, *REST)
_OTHERS = ("/-/healthy", "/-/ready", "/metrics", "/nothing", "/companies/", "/api/v1/nothing")
_LATER = str(after(LOCK + 1)).replace("+00:00", "Z").replace(" ", "T")
INSTANTS = ("2026-03-16", "2d", _LATER, "2030-01-01", "x")
"""In addresses: two are before the lock, two after it, and one is none."""
SYMBOLS = ("A", "FB", "NEW", "ZZZ")
_RUNS = ("2", "3", "9")
VALUES: Mapping[str, Sequence[str]] = {
    "symbol": ("A", "NEW", "META", "zzz"),
    "field": ("pe_ratio", "all", "symbol", "ebitda", "bogus"),
    "since": ("2026-03-15", "3d", _LATER, "x"),
    "until": ("2026-03-16", "now", "2026-03-18", _LATER),
    "at": ("2026-03-15", "1d", "now", _LATER),
    "time": ("12:00",),
    "path": ("/companies", "/runs/3", "//x"),
    "q": ("a", "new", "x"),
    "sort": ("symbol", "-pe_ratio", "observed_at", "bogus"),
    "sector": ("TECHNOLOGY", "NEWS"),
    "after": ("A~0", "2~0", "x"),
    "limit": ("1", "2", "0"),
    "every": ("1d", "1w"),
    "lag": ("1h",),
    "max_staleness": ("48", "1h"),
    "universe": ("true", "false"),
    "min_change": ("0.05",),
    "suspicious": ("true", "1"),
    "part": ("daily", "reported"),
    "outcome": ("unknown", "stored"),
    "columns": ("pe_ratio", "name"),
    "function": ("OVERVIEW", "TIME_SERIES_DAILY"),
}
"""The parameters of all paths, and values for them: a path ignores those of others, or refuses them."""
_ACCEPTED = ("text/html", "application/json", "text/csv", "application/vnd.apache.parquet", "*/*")
_OF_THIS_ANSWER = frozenset({"date", "age"})
"""Headers that equal answers may not share: when they were sent, and how old they are."""


_SAME_HOST = {"Host": "localhost"}
"""The feed names the site that it is of."""


class Request(NamedTuple):
    """A request to both sites."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()


def filled(template: str, symbol: str, run: str) -> str:
    """Return a path of a template."""
    known = {"symbol": symbol, "run": run, "name": "site.css", "path": "/more"}
    return re.sub(r"{(\w+)[^}]*}", lambda found: quote(known[found[1]]), template.replace("(?:/.*)?", ""))


def all_paths(prefixes: Iterable[str], *, symbols: Iterable[str] = SYMBOLS, runs: Iterable[str] = _RUNS) -> list[str]:
    """Return every path of both sites under some instants, for some symbols and runs."""
    places = [(symbol, run) for symbol in symbols for run in runs]
    paths = dict.fromkeys(filled(route.path, *place) for route in ROUTES for place in places)
    return [f"{prefix}{path}" for prefix in prefixes for path in (*paths, *_OTHERS)]


def requests() -> st.SearchStrategy[Request]:
    """Return any request."""
    prefix = st.sampled_from(["", "", *(f"/as-of/{quote(one)}" for one in INSTANTS)])
    path = st.builds(
        filled,
        st.sampled_from([route.path for route in ROUTES]),
        st.sampled_from((*SYMBOLS, "FB@2026-03-15", "C-D")),
        st.sampled_from(_RUNS),
    )
    pairs = st.sampled_from([(name, value) for name, values in VALUES.items() for value in values])
    parameters = st.lists(pairs, max_size=3, unique_by=lambda one: one[0]).map(urlencode)
    headers = st.fixed_dictionaries(
        {"Accept": st.sampled_from(_ACCEPTED)},
        optional={
            "If-Modified-Since": st.just("Wed, 18 Mar 2026 22:30:00 GMT"),
            "Accept-Language": st.just("de"),
            "Accept-Encoding": st.just("identity"),
        },
    ).map(lambda found: tuple(found.items()))
    return st.builds(
        lambda *parts: Request("".join(parts[:2]) + (f"?{parts[2]}" if parts[2] else ""), parts[3]),
        prefix, path, parameters, headers,
    )  # fmt: skip


class Difference(NamedTuple):
    """A request that two sites answer differently."""

    request: Request
    one: Got
    other: Got


async def differences(
    one: SiteClient, other: SiteClient, asked: Iterable[Request], *, most: int, below: str = "/"
) -> AsyncIterator[Difference]:
    """Ask two sites, and go where their answers lead `below` a path, up to `most` requests. Yield where they differ."""
    seen = dict.fromkeys(asked)
    queue = list(seen)
    for request in queue:
        headers = {**_SAME_HOST, **dict(request.headers)}
        got, expected = [await client.get(request.path, **headers) for client in (one, other)]
        if _shown(got) != _shown(expected):
            yield Difference(request, got, expected)
        tag = got.headers.get("ETag")
        if tag is not None and not request.headers:
            queue.append(Request(request.path, (("If-None-Match", tag),)))
        leads = [Request(path) for path in _links(got) if path.startswith(below) and Request(path) not in seen]
        seen.update(dict.fromkeys(leads))
        queue += leads[: max(0, most - len(queue))]


def _shown(got: Got) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return what a client can see of an answer."""
    headers = sorted((name.lower(), value) for name, value in got.headers.items())
    return got.status, [one for one in headers if one[0] not in _OF_THIS_ANSWER], got.body


_LINKS = re.compile(r"""(?:href|src|action)="(/[^"#]*)|"next":"(/[^"]*)"|^<(/[^>]*)>; rel="next\"""")


_WITH_LINKS = ("text/html", "application/json", "application/atom+xml")


def _links(got: Got) -> Iterator[str]:
    """Yield the addresses on the site that an answer names."""
    is_text = got.headers.get("Content-Type", "").startswith(_WITH_LINKS)
    texts = [got.headers.get("Link", ""), got.text if is_text else ""]
    if (location := got.headers.get("Location", "/")).startswith("/"):
        yield location
    for text in texts:
        for groups in _LINKS.findall(text):
            yield html.unescape("".join(groups))
