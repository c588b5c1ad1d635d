"""Endpoints: each path of the API with its parameters, what it answers, and the question that finds the answer."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from aiohttp import web
from yarl import URL

from pipeline.query.history import History
from pipeline.rest.asked import Asked
from pipeline.rest.formats import Format, accepted, check_offered, offered
from pipeline.rest.json_answers import as_json
from pipeline.rest.parameters import Paged, read_parameters
from pipeline.rest.positions import Position
from pipeline.rest.problems import refuse
from pipeline.rest.tables import USUAL_ROWS, Page, Table, as_csv, as_json_page, as_parquet, page, page_of
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal
from pipeline.web.routes import Handler, Route

API = "/api/v1"
BYTE_ORDER_MARK = "\N{BYTE ORDER MARK}".encode()
"""Before CSV: without it Excel takes UTF-8 for another encoding."""
P = TypeVar("P", bound=msgspec.Struct)
Q = TypeVar("Q", bound=Paged)


@dataclass(frozen=True, slots=True)
class Endpoint(ABC):
    """A path of the API."""

    path: str
    """Below /api/v1, with its parameters in braces."""
    name: str
    """What programs that are generated from the document call it."""
    summary: str
    description: str
    parameters: type[msgspec.Struct]

    @property
    @abstractmethod
    def answer(self) -> Any:
        """The type of its answer in JSON."""

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats that it answers in."""
        return (Format.JSON,)

    @abstractmethod
    def routes(self) -> Iterator[Route]:
        """Yield its routes."""


def _path(endpoint: Endpoint, ending: str = "") -> str:
    return f"{API}{endpoint.path}{ending}"


@dataclass(frozen=True, slots=True)
class Single(Endpoint, Generic[P]):
    """A path that answers one object."""

    kind: Any
    question: Callable[[Asked[P]], Awaitable[msgspec.Struct]]

    @property
    def answer(self) -> Any:
        """The type of its answer in JSON."""
        return self.kind

    def routes(self) -> Iterator[Route]:
        """Yield its routes."""
        yield Route(_path(self, f".{Format.JSON}"), self._handler(Format.JSON), refuse)
        yield Route(_path(self), self._handler(None), refuse)

    def _handler(self, named: Format | None) -> Handler:
        async def handle(ask: Ask) -> web.Response:
            form = named or accepted(ask.request.headers.get("Accept", ""), self.formats)
            given: Any = read_parameters(self.parameters, _named(ask), ask.request.query)
            found = await self.question(Asked(ask, given))
            assert form is Format.JSON
            return as_json(found)

        return handle


class _Body(NamedTuple):
    body: bytes
    next_path: str | None


@dataclass(frozen=True, slots=True)
class Tabular(Endpoint, Generic[Q]):
    """A path that answers a table."""

    row: type[msgspec.Struct]

    @abstractmethod
    async def find(self, asked: Asked[Q], make: Callable[[Table], _Body]) -> _Body:
        """Return what is made of the table that is asked for."""

    @property
    def answer(self) -> Any:
        """The type of its answer in JSON."""
        return page_of(self.row)

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats that it answers in."""
        return tuple(offered())

    def routes(self) -> Iterator[Route]:
        """Yield its routes: those whose ending names a format first, as a symbol may contain a dot."""
        for form in Format:
            yield Route(_path(self, f".{form}"), self._handler(form), refuse)
        yield Route(_path(self), self._handler(None), refuse)

    def _handler(self, named: Format | None) -> Handler:
        async def handle(ask: Ask) -> web.Response:
            given: Any = read_parameters(self.parameters, _named(ask), ask.request.query)
            form = _form(ask, named, excel=given.excel)
            asked = self._asked(ask, given, form)
            body, next_path = await self.find(asked, lambda table: self._answered(table, asked, form))
            headers = {"Content-Type": form.content_type}
            if next_path is not None:
                headers["Link"] = f'<{next_path}>; rel="next"'
            return web.Response(body=body, headers=headers)

        return handle

    def _asked(self, ask: Ask, given: Q, form: Format) -> Asked[Q]:
        limit = given.limit or (USUAL_ROWS if form is Format.JSON or given.after else None)
        return Asked(ask, given, form, limit, None if given.after is None else Position.parse(given.after))

    def _answered(self, table: Table, asked: Asked[Q], form: Format) -> _Body:
        found = None if asked.limit is None else page(table, asked.limit, asked.after)
        next_path = None if found is None or found.next is None else _next_path(asked.ask, found.next)
        body = self._encoded(form, table, found, next_path)
        return _Body(BYTE_ORDER_MARK + body if asked.given.excel else body, next_path)

    def _encoded(self, form: Format, table: Table, found: Page | None, next_path: str | None) -> bytes:
        match form:
            case Format.CSV:
                return as_csv(table, found)
            case Format.PARQUET:
                return as_parquet(table, found)
            case Format.JSON:
                assert found is not None
                return as_json_page(table, found, next_path)


@dataclass(frozen=True, slots=True)
class Recorded(Tabular[Q]):
    """A path that answers a table of the record."""

    question: Callable[[History, Asked[Q]], Table]

    async def find(self, asked: Asked[Q], make: Callable[[Table], _Body]) -> _Body:
        """Return what is made of the table, in a thread that reads the record."""
        return await asked.ask.read(lambda history: make(self.question(history, asked)))


@dataclass(frozen=True, slots=True)
class Fixed(Tabular[Q]):
    """A path that answers a table which depends on no record."""

    table: Callable[[], Table]

    async def find(self, _asked: Asked[Q], make: Callable[[Table], _Body]) -> _Body:
        """Return what is made of the table."""
        return make(self.table())


def _form(ask: Ask, named: Format | None, *, excel: bool) -> Format:
    """Return the format of an answer: by the path's ending, CSV for Excel, or by the header. Raise Refusal."""
    if excel and named not in (None, Format.CSV):
        remedy = f"drop excel, or the ending .{named}"
        raise Refusal(HTTPStatus.BAD_REQUEST, "excel asks for CSV, and the path for another format", remedy=remedy)
    if named is not None:
        check_offered(named)
    return named or (Format.CSV if excel else accepted(ask.request.headers.get("Accept", ""), offered()))


def _named(ask: Ask) -> dict[str, str]:
    """Return the parameters in the path."""
    return {name: value for name, value in ask.request.match_info.items() if name != "instant"}


def _next_path(ask: Ask, position: Position) -> str:
    return str(target(ask).update_query(after=position.text()))


def target(ask: Ask) -> URL:
    """Return the path and parameters that a request asks for: a proxy's may name a host, too."""
    url = ask.request.rel_url
    return url.relative() if url.absolute else url
