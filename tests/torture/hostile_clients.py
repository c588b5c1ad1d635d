"""Hostile clients: requests at random, most of which no browser sends, to servers of documents that mean harm.

In process, by sockets. Two servers are locked, and their records differ after the lock only: all that they answer has
to be equal, to the byte. The third wants a token that nobody sends.
"""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.support.crawl import ROUTES, VALUES, filled
from tests.support.observations import Observed, after, database_of, seen
from tests.support.site import served
from tests.torture.trial import Bout, Mutant, Trial

_LOCK = 60
"""The hour after which the records differ."""
_NOW = after(200)
_REQUESTS = 2_000
"""To servers of one pair of records."""
_TOKEN = "a-token-that-nobody-sends"
_SYMBOLS = ("IBM", "EVIL", "BRK-B", "MSFT")
_LATER = "LATER"
"""A symbol that only one of the records has, after the lock."""
_TEXTS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "</script><svg onload=x>",
    "a\x01\x07\x1b]0;t\x07", "]]><!--", "\u202eevil\u2066", "\ufffe\U0001f600\x85", "=1+1", "{{7*7}}", "&lt;b&gt;", "'",
    "a\r\nSet-Cookie: x", "\u2028", "%s%00", "-", "x" * 3_000,
)  # fmt: skip
_SITES = ("javascript:alert(1)", 'https://a.example/"onclick=x', "data:text/html,<script>1</script>", "//x")
_PIECES = (
    "..", "%2e%2e", "%2f", "//", ";x=1", "%00", "%c0%af", "\\", "%5c", "%ED%A0%80", ".", "~", "%252e", "as-of",
    "as-of/2026-03-15", "as-of/now", "as-of/9999-99-99", "as-of/2026-03-15T10:00%2B01:00", "as-of/%00", _LATER,
    "a" * 500,
)  # fmt: skip
_WORDS = (
    "IBM", _LATER, "", "%00", "%ff", "..%2f..%2fetc%2fpasswd", "%3Cscript%3E", "'", '"', "9" * 400, "-1", "1e309",
    "NaN", "null", "true", "%ED%A0%80", "\\", "a" * 2_000, "2026-02-30", "0001-01-01", "9999-12-31T23:59:59.999Z",
    "999999d",
    "%0d%0aSet-Cookie:x", "~~~", "~0", "A~999999999", "%", "+", "//evil.example", "%EF%BC%91", "%E2%80%AE", "now", "7d",
)  # fmt: skip
_HEADERS = {
    "Accept": ("text/csv", "application/json;q=0.1, */*;q=0.2", "x", "a/b;q=nan", "*/*;q=9e999", ";;,", "\xff"),
    "If-None-Match": ("*", 'W/"x"', '"', "W/" * 500, "\xff"),
    "If-Modified-Since": ("Wed, 18 Mar 2026 22:30:00 GMT", "x"),
    "Range": ("bytes=0-1", "bytes=99999999999999999999-", "x"),
    "Accept-Encoding": ("gzip", "gzip;q=0", "gzip;q=x", "*"),
    "Cookie": ("a=b", "x" * 4_000, "\xff=\x01"),
    "Authorization": ("Basic x", "Basic /////w==", "Bearer", "Bearer \xff", f"Bearer {_TOKEN[:-1]}"),
    "Sec-Fetch-Site": ("cross-site", "none"),
    "X-Forwarded-Host": ("evil.example",),
    "Content-Length": ("0", "-1", "x", "9" * 20),
    "Transfer-Encoding": ("chunked", "x"),
    "Expect": ("x",),
    "Upgrade": ("websocket", "h2c"),
    "Content-Encoding": ("gzip", "x"),
}  # fmt: skip
_HOSTS = ("evil.example", "localhost.", "[::1]", "a@localhost", "", "127.0.0.1.evil.example", "\xff", "localhost:99999")
_PROBES = ("/-/healthy", "/-/ready")
_REVEALING = (b"aiohttp", b"python/", b"traceback", _TOKEN.encode())
_OF_THIS_ANSWER = re.compile(rb"(?im)^(date|age): [^\r]*")


class Sent(NamedTuple):
    """A request, as it is sent."""

    method: str
    target: str
    content: bytes

    def __str__(self) -> str:
        return repr(self.content[:300])


class Answer(NamedTuple):
    """What came back."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        found = re.match(rb"HTTP/[0-9.]+ ([0-9]{3}) ", self.head)
        return 0 if found is None else int(found[1])

    def header(self, name: str) -> str:
        found = re.search(rb"(?im)^" + name.encode() + rb": ([^\r\n]*)", self.head)
        return "" if found is None else found[1].decode("latin-1")

    @property
    def plain(self) -> bytes:
        return gzip.decompress(self.body) if self.header("Content-Encoding") == "gzip" and self.body else self.body

    @property
    def shown(self) -> tuple[bytes, bytes]:
        """What equal questions have in common."""
        return _OF_THIS_ANSWER.sub(b"", self.head), self.plain


def documents(random: Random, hours: Sequence[int], *symbols: str) -> list[Observed]:
    """Return observations of companies whose texts mean harm."""
    fields = ("Name", "Description", "Sector", "Industry", "Exchange", "Address", "EPS", "<script>k</script>")
    return [
        seen(
            hour + place / 10,
            symbol,
            **{field: random.choice(_TEXTS) for field in fields},
            OfficialSite=random.choice(_SITES),
            PERatio=str(random.randrange(1, 99)),
            LatestQuarter="2025-12-31",
        )
        for hour in hours
        for place, symbol in enumerate(symbols)
    ]


def request(random: Random) -> Sent:
    """Return a request."""
    path = random.choice(["", "", "/as-of/2026-03-15", "/as-of/now", f"/as-of/{random.choice(_WORDS)}"])
    template = random.choice(
        [*(route.path for route in ROUTES), *_PROBES, "/metrics", "/nothing", *["/changes.atom"] * 4]
    )
    path += filled(template, random.choice((*_SYMBOLS, _LATER)), random.choice("129"))
    if random.random() < 0.2:
        parts = path.split("/")
        parts.insert(random.randrange(len(parts) + 1), random.choice(_PIECES))
        path = "/".join(parts)
    if random.random() < 0.5:
        pairs = (_parameter(random) for _ in range(random.randrange(1, 5)))
        path += "?" + random.choice("&&;").join(pairs)
    host = random.choice(_HOSTS) if random.random() < 0.05 else "localhost"
    lines = [f"Host: {host}"]
    lines += [f"{name}: {random.choice(values)}" for name, values in _HEADERS.items() if random.random() < 0.06]
    method = random.choice(["GET"] * 30 + ["HEAD", "POST", "OPTIONS", "get", "CONNECT", "G\xffT"])
    version = random.choice(["1.1"] * 20 + ["1.0", "9.9"])
    head = "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "Connection: close", "", ""])
    return Sent(method, path, head.encode("latin-1", "replace"))


def _parameter(random: Random) -> str:
    name = random.choice([*VALUES, "apikey", "excel", "instant", "version", "before"])
    usual = VALUES.get(name, ())
    value = random.choice(usual) if usual and random.random() < 0.6 else random.choice(_WORDS)
    return f"{name}{random.choice(['=', '=', '=', '', '=='])}{value}"


async def ask(port: int, sent: Sent) -> Answer:
    """Return the answer to a request. The server may wait longer for a body that was announced."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent.content)
        async with asyncio.timeout(60):
            head = Answer(await reader.readuntil(b"\r\n\r\n"), b"")
            has_body = sent.method != "HEAD" and head.status != 304
            length = int(head.header("Content-Length") or 0) if has_body else 0
            return Answer(head.head, await reader.readexactly(length))
    finally:
        writer.close()


class _Active(HTMLParser):
    """Finds what would run, or load something, in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_address = name in ("href", "src", "action", "formaction", "xlink:href")
            if is_address and value and not re.match(r"[/#?.]|https?://|data:image/", value):
                self.found.append(f"{tag} {name}={value[:40]!r}")
            if name.startswith("on") or name in ("style", "srcdoc"):
                self.found.append(f"{tag} {name}")
        if (tag == "script" and not dict(attrs).get("src")) or tag in ("iframe", "object", "embed", "base"):
            self.found.append(tag)


def harm(sent: Sent, answer: Answer) -> str | None:
    """Return what is wrong with an answer in itself, None if nothing is."""
    revealed = next((one for one in _REVEALING if one in answer.head.lower() + answer.plain.lower()), None)
    headers = answer.header("Server"), answer.header("X-Content-Type-Options"), answer.header("Set-Cookie")
    if not 200 <= answer.status < 500:
        return f"status {answer.status}"
    if revealed is not None:
        return f"reveals {revealed.decode()}"
    if headers != ("overview-pipeline", "nosniff", ""):
        return f"has the headers {headers}"
    return None if sent.method == "HEAD" or not answer.body else _harm_of(answer)


def _harm_of(answer: Answer) -> str | None:
    """Return why a program cannot read an answer, or what would run in it where it is a page or a feed."""
    kind = answer.header("Content-Type")
    pages = [answer.plain.decode()] if "html" in kind else []
    try:
        if "json" in kind:
            json.loads(answer.plain)
        if "xml" in kind:
            root = ET.fromstring(answer.plain)
            pages = [content.text or "" for content in root.iter("{*}content")]
    except (ValueError, ET.ParseError) as error:
        return f"is no {kind}: {error}"
    active = [one for page in pages for one in _Active(page).found]
    return f"has {active[0]}" if active else None


class Servers(NamedTuple):
    """The ports of the servers: two that are locked, and one that wants a token."""

    one: int
    other: int
    guarded: int


@asynccontextmanager
async def servers(databases: tuple[Path, Path]) -> AsyncIterator[Servers]:
    """Serve the two records, and the first of them a second time."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(served(database, lock=lock, now=lambda: _NOW, token=token))
            for database, lock, token in (
                (databases[0], after(_LOCK), None), (databases[1], after(_LOCK), None), (databases[0], None, _TOKEN),
            )
        ]  # fmt: skip
        yield Servers(*(int(client.url.rpartition(":")[2]) for client in clients))


async def attack(bout: Bout, databases: tuple[Path, Path]) -> None:
    """Send each request to all servers."""
    async with servers(databases) as ports:
        for _ in range(_REQUESTS):
            if not bout.goes_on():
                return
            sent = request(bout.random)
            one, other, guarded = await asyncio.gather(*(ask(port, sent) for port in ports))
            bout.count("requests", 3)
            if found := harm(sent, one):
                bout.broken(f"{sent}: the answer {found}")
            if one.shown != other.shown:
                bout.broken(f"{sent}: what came after the lock shows")
            is_probe = sent.target.partition("?")[0] in _PROBES
            if guarded.status < 400 and not is_probe:
                bout.broken(f"{sent}: answered with {guarded.status} without the token")


def run(bout: Bout) -> None:
    """Attack servers of one pair of records after the other."""
    while bout.goes_on():
        past = documents(bout.random, range(0, _LOCK, 20), *_SYMBOLS)
        futures = [
            documents(bout.random, range(_LOCK + 1, 190, 40), *bout.random.sample(_SYMBOLS, 2), *more)
            for more in ((), (_LATER,))
        ]
        databases = database_of(past, futures[0]), database_of(past, futures[1])
        asyncio.run(attack(bout, databases))
        bout.count("pairs of records")


TRIAL = Trial(
    name="hostile clients",
    promise="a request can only read, and a lock hides what came later",
    run=run,
    share=0.5,
    short_attempts=300,
    mutants=(
        Mutant(
            "takes any token",
            "pipeline/web/access.py",
            "if self.token is not None and not any(",
            "if self.token is not None and any(",
        ),
        Mutant(
            "shows texts as they are",
            "pipeline/pages/rendering.py",
            "autoescape=True",
            "autoescape=False",
        ),
        Mutant(
            "forgets the lock",
            "pipeline/query/horizon.py",
            '_AT = "(SELECT at FROM temp.horizon)"',
            "_AT = \"'9999'\"",
        ),
        Mutant(
            "tells what could not be read, as aiohttp does",
            "pipeline/web/unreadable.py",
            "as_line(kind, _LINES.get(kind, kind.phrase.lower()))",
            "web.Response(status=status, text=message)",
        ),
        Mutant(
            "puts any character into the feed",
            "pipeline/rest/atom.py",
            '_IMPOSSIBLE.sub("\\N{REPLACEMENT CHARACTER}", text)',
            "text",
        ),
    ),
)
