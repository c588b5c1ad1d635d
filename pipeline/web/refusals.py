"""Refusals: requests that get no answer, each with an HTTP status and one line that says what to do."""

from http import HTTPStatus

from pipeline.errors import Trouble
from pipeline.model.fields import FieldNotFound
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


def status_of(error: Trouble) -> HTTPStatus:
    """Return the HTTP status for an error of a question."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, SymbolNotFound | NoData):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, FieldNotFound):
        return HTTPStatus.BAD_REQUEST
    if isinstance(error, TooSlow | DatabaseError):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.BAD_REQUEST
