"""`/query`: the API's own shape, so that a client of the API reads the record by its base URL alone.

As the API does it: the parameters, HTTP 200, the content type, the bytes of a document, `{}` for a company of which
nothing was known, and refusals as JSON under the API's keys. Parameters other than `function` and `symbol`, the key
among them, are ignored, and never repeated or logged.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from pipeline.collect.on_demand import NotCollected
from pipeline.errors import Trouble
from pipeline.instants import to_text
from pipeline.model.document import Document, as_sent
from pipeline.model.symbols import parse_symbol, spellings
from pipeline.query.documents import Received
from pipeline.query.history import History
from pipeline.store.stored_symbols import SymbolNotFound
from pipeline.text import printable, shown
from pipeline.web.ask import Ask
from pipeline.web.caching import NO_STORE
from pipeline.web.refusals import named_alone, status_of
from pipeline.web.routes import Route

FUNCTION = "OVERVIEW"
_EXAMPLE = "/query?function=OVERVIEW&symbol=IBM"
_ERROR = "Error Message"
_OWN_SITES = ("none", "same-origin")
"""What a browser sends if a person made the request, or one of the server's own pages. Programs send nothing."""
_OF_ANOTHER_SITE = NotCollected("another site's page may ask for it, and would use up the plan's requests")
_BROWSER = "mozilla/"
"""How the User-Agent of every browser begins."""
_SHOWN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
"""Characters that a header has as they are: anything else is written as in a URL."""
NO_FUNCTION = f"This API function is not kept here: overview-pipeline keeps OVERVIEW, as it was received: {_EXAMPLE}"
NO_SYMBOL = f"Invalid API call. Name a symbol for OVERVIEW: {_EXAMPLE}"


async def query(ask: Ask) -> web.Response:
    """Answer the document of a symbol as it was known at the instant, or a refusal in the API's manner."""
    parameters = ask.request.query
    if parameters.get("function", "").strip().upper() != FUNCTION:
        return _refusal(HTTPStatus.OK, _ERROR, NO_FUNCTION)
    symbol = parameters.get("symbol", "").strip()
    if not symbol:
        return _refusal(HTTPStatus.OK, _ERROR, NO_SYMBOL)
    refusal, ask = await _read_through(ask, symbol)
    try:
        received = await ask.read(lambda history: _received(history, symbol))
    except Trouble as error:
        if status_of(error) is not HTTPStatus.NOT_FOUND:
            raise
        received = None  # there is no database yet, or nothing in it
    if received is not None:
        return _answer(received, ask, refusal)
    return _document({}) if refusal is None else _refusal(HTTPStatus.OK, "Information", _no_document(symbol, refusal))


async def _read_through(ask: Ask, text: str) -> tuple[NotCollected | None, Ask]:
    """Let a symbol that is not fresh be collected first, where the present is asked about and that is configured.

    Return why it was not collected, if it should have been, and what to ask of the record now.
    """
    if ask.is_past or ask.site.read_through is None:
        return None, ask
    try:
        symbol = parse_symbol(text)
    except ValueError:
        return None, ask  # the API knows no such symbol either
    if _may_be_of_another_site(ask.request):
        return _OF_ANOTHER_SITE, ask
    refusal = await ask.site.read_through(symbol)
    if refusal is not None:
        refusal = replace(refusal, reason=named_alone(refusal.reason, ask.site.readers.database))
    return refusal, replace(ask, at=ask.site.present)  # what was collected was observed since


def _may_be_of_another_site(request: web.Request) -> bool:
    """Whether another site's page may have made a browser ask.

    A browser does not say whose page asks where the address is another machine's and without TLS.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in _OWN_SITES
    return request.headers.get("User-Agent", "").lower().startswith(_BROWSER)


def _no_document(symbol: str, refusal: NotCollected) -> str:
    """Return why there is no document, in words that the API's clients take for a rate limit if it is one."""
    limit = "the rate limit is reached, " if refusal.is_quota else ""
    return printable(
        f"Nothing is kept of {shown(symbol).upper()}, and it is not requested now: {limit}{refusal.reason}"
    )


def refuse(_request: web.Request, status: HTTPStatus, error: Trouble) -> web.Response:
    """Return a refusal in the API's manner, but with the status that it has elsewhere."""
    return _refusal(status, _ERROR, str(error))


def _received(history: History, text: str) -> Received | None:
    """Return what is known of a symbol at the end of a history; None if nothing is, or the text cannot be a symbol.

    A class share is found as BRK.B and as BRK-B: the API takes both for the same.
    """
    found = []
    for spelled in _spellings(text):
        with suppress(SymbolNotFound):
            found.append(history.received(spelled, "now"))
    return max(filter(None, found), key=lambda one: one.confirmed_at, default=None)


def _spellings(text: str) -> Sequence[str]:
    try:
        return spellings(parse_symbol(text))
    except ValueError:
        return (text,)  # perhaps a company that had a symbol once: FB@2025-07-01


def _answer(received: Received, ask: Ask, refusal: NotCollected | None) -> web.Response:
    response = _document(received.document)
    response.headers["X-Observed-At"] = to_text(received.observed_at)
    response.headers["X-Confirmed-At"] = to_text(received.confirmed_at)
    response.headers["Age"] = str(max(int((ask.at - received.confirmed_at).total_seconds()), 0))
    if refusal is not None:
        response.headers["X-Not-Collected"] = quote(refusal.reason, safe=_SHOWN)
    return response


def _document(document: Document) -> web.Response:
    return web.Response(body=as_sent(document).encode(), content_type="application/json")


def _refusal(status: HTTPStatus, key: str, text: str) -> web.Response:
    response = _document({key: text})
    response.set_status(status)
    response.headers["Cache-Control"] = NO_STORE
    return response


QUERY = Route("/query", query, refuse, is_shared=False)
