"""Interim answers: a server may send a few (`100 Continue`, `103 Early Hints`) before its answer, and not more.

aiohttp reads any number of them, and keeps those that it has not looked at yet: a server that sends nothing else takes
memory without bounds, and leaves no time for anything else, until the deadline of the request.
"""

from functools import partial
from typing import Any, cast

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

MOST = 10
"""Before one answer. The API sends none."""


class Connector(TCPConnector):
    """Connections over which a server that sends more interim answers is given up."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(_Handler, loop=self._loop))


class _Handler(ResponseHandler):
    _interim = 0

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a head that has been read. aiohttp calls it for each, the interim ones too."""
        is_interim = data[0].code // 100 == 1
        self._interim = self._interim + 1 if is_interim else 0
        if self._interim <= MOST:
            super().feed_data(data, size)
        elif self.exception() is None:
            self.close()  # which forgets an exception
            self.set_exception(HttpProcessingError(message="too many interim answers"))
