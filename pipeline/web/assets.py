"""Assets: style sheets, scripts and pictures, each at an address that names its content, so that browsers keep it."""

from collections.abc import Mapping
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path, PurePath

from aiohttp import web

from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal
from pipeline.web.routes import Refuse, Route

PLACE = "/static/"
KEPT = "public, max-age=31536000, immutable"
"""The Cache-Control of what never changes at its address."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class Assets:
    """Files of a site that are the same for all requests."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Take the content of each file by its name, which ends in one of a few known suffixes."""
        self._addresses = {name: _address(name, content) for name, content in files.items()}
        self._answers = {self._addresses[name]: (_TYPES[PurePath(name).suffix], files[name]) for name in files}

    @classmethod
    def read(cls, folder: Path) -> "Assets":
        """Return the files in a folder."""
        return cls({file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.suffix in _TYPES})

    def address(self, name: str) -> str:
        """Return where a file is, such as /static/site.0f3a9c2b7d41.css for `site.css`."""
        return self._addresses[name]

    def route(self, refuse: Refuse) -> Route:
        """Return the route of all files."""
        return Route(f"{PLACE}{{name}}", self._answer, refuse, has_instants=False)

    async def _answer(self, ask: Ask) -> web.Response:
        found = self._answers.get(f"{PLACE}{ask.request.match_info['name']}")
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "no such file", remedy="load the page that names it again")
        kind, content = found
        return web.Response(body=content, headers={"Content-Type": kind, "Cache-Control": KEPT})


def _address(name: str, content: bytes) -> str:
    path = PurePath(name)
    return f"{PLACE}{path.stem}.{blake2b(content, digest_size=6).hexdigest()}{path.suffix}"
