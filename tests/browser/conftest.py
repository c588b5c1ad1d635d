"""Two sites in a thread beside the browser: of a sandbox that was collected, and of a record with hostile names."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.pages.conftest import eventful as eventful  # noqa: PLC0414 - a fixture, to be found here
from tests.support.beside import beside
from tests.support.collected import Collected
from tests.support.site import served


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    return Collected(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="session")
def sandbox_url(collected: Collected) -> Iterator[str]:
    with _url(collected.folder / "data" / "sandbox.db") as url:
        yield url


@pytest.fixture(scope="session")
def eventful_url(eventful: Path) -> Iterator[str]:
    with _url(eventful) as url:
        yield url


def _url(database: Path) -> AbstractContextManager[str]:
    """Serve a database in a thread while the block runs."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with served(database) as client:
            yield client.url

    return beside(serving)
