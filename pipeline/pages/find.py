"""Finding a company: leads to its page where a text is its symbol, else to the companies that match."""

from http import HTTPStatus
from urllib.parse import quote, urlencode

from aiohttp import web

from pipeline.pages.companies import PATH
from pipeline.query.history import History
from pipeline.store.stored_symbols import SymbolNotFound
from pipeline.web.ask import Ask


async def find(ask: Ask) -> web.Response:
    """Answer with where to go for a text (`q`)."""
    text = (ask.first("q") or "").strip()

    def company(history: History) -> str | None:
        try:
            return history.check_symbols([text])[0]
        except SymbolNotFound:
            return None

    symbol = await ask.read_any(company) if text else None
    if symbol is not None:
        where = f"{PATH}/{quote(symbol, safe='@')}"
    else:
        where = f"{PATH}?{urlencode({'q': text})}" if text else PATH
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": ask.link(where)})
