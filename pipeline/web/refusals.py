"""Refusals: requests that get no answer, each with an HTTP status and one line that says what to do."""

from http import HTTPStatus
from pathlib import Path

from pipeline.errors import Trouble
from pipeline.query.reach import AfterLock
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.store.stored_symbols import SymbolNotFound
from pipeline.store.time_limit import TooSlow


class Refusal(Trouble):
    """A request that is refused."""

    def __init__(self, status: HTTPStatus, problem: str, *, remedy: str | None = None) -> None:
        super().__init__(problem, remedy=remedy)
        self.status = status


class Busy(Refusal):
    """More is asked than can be answered."""

    RETRY_AFTER = 2
    """Seconds."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, "too many questions at the moment", remedy="ask again soon")


def without_folder(error: Trouble, database: Path) -> Trouble:
    """Return an error as clients may see it: without the folder that the database is in."""
    if named_alone(str(error), database) == str(error):
        return error
    remedy = None if error.remedy is None else named_alone(error.remedy, database)
    return Refusal(status_of(error), named_alone(error.problem, database), remedy=remedy)


def named_alone(text: str, database: Path) -> str:
    """Return a text that may name the database, as clients may see it: by its name alone."""
    return text.replace(str(database), database.name)


def status_of(error: Trouble) -> HTTPStatus:
    """Return the HTTP status for an error of a question."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, SymbolNotFound | NoData):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, AfterLock):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, TooSlow | DatabaseError):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.BAD_REQUEST
