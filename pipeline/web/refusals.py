"""Refusals: requests that get no answer, each with an HTTP status and one line that says what to do."""

from http import HTTPStatus
from pathlib import Path

from pipeline.errors import Trouble
from pipeline.query.reach import AfterLock
from pipeline.query.time_limit import TooSlow
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.store.stored_symbols import SymbolNotFound


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
    path, name = str(database), database.name
    if path == name or path not in str(error):
        return error
    remedy = None if error.remedy is None else error.remedy.replace(path, name)
    return Refusal(status_of(error), error.problem.replace(path, name), remedy=remedy)


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
