"""A server on loopback that no request should reach."""

import socket

import pytest


class SilentServer:
    """Accepts connections, if any, and never answers."""

    def __init__(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        self._listening = listening
        self.port: int = listening.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/query"

    def assert_nothing_received(self) -> None:
        """Fail if anything has connected."""
        with pytest.raises(BlockingIOError):
            self._listening.accept()
