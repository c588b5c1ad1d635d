"""What the tests of notifications and pings share."""

import logging
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline import logs
from tests.support.places import Place, place_on_loopback


@pytest.fixture
def everything_logged() -> Iterator[None]:
    """Log at debug level, the standard library's loggers included: all that any library says is in the output."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(logging.DEBUG, readable=False)
    everything = logging.StreamHandler(sys.stderr)
    root.addHandler(everything)
    root.setLevel(1)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with place_on_loopback() as served:
        yield served
