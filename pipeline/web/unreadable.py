"""Unreadable requests: answered in one line, without the versions that aiohttp tells, and without what was sent.

Nor is what was sent logged, as aiohttp does with a traceback: anybody could fill the log, and a token may be in it.
"""

from http import HTTPStatus

from aiohttp import web

from pipeline.web.app import as_line

_LINES = {
    HTTPStatus.BAD_REQUEST: "not a valid HTTP request, or a line of it is longer than 8 kB",
    HTTPStatus.INTERNAL_SERVER_ERROR: "the answer failed, by a mistake in this program: its log has the details",
}


class RequestHandler(web.RequestHandler):
    """Reads the requests of one connection, and has them answered."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that no handler sees. Its connection is closed then."""
        kind = HTTPStatus(status)
        if kind is not HTTPStatus.BAD_REQUEST or request.writer.output_size > 0:
            super().handle_error(
                request, status, exc, message
            )  # it logs a fault of the server, and ends an answer that has begun
        response = as_line(kind, _LINES.get(kind, kind.phrase.lower()))
        response.force_close()
        return response
