"""Optional packages: imported when a command needs them; a missing one is an error that names the pip command."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from pipeline.errors import ExitCode, Trouble
from pipeline.resources import check_threads

PACKAGES = {
    "calendars": ("exchange_calendars>=4.10",),
    "excel": ("xlsxwriter>=3.2",),
    "fleet": ("procrastinate>=3.10,<4", "psycopg[binary,pool]>=3.2.10"),
    "mcp": ("mcp>=2.3,<3",),
    "notify": ("apprise>=2.0",),
    "parquet": ("pyarrow>=18", "numpy>=1.26"),
    "plot": ("vl-convert-python>=1.9,<2",),
    "web": ("jinja2>=3.1.5",),
}
"""The packages of each extra that an error names, as pyproject.toml has them."""


class Missing(Trouble):
    """The configuration needs a package that is not installed."""

    exit_code = ExitCode.REFUSED


def arrow() -> ModuleType:
    """Return `pipeline.query.arrow`. Raise Trouble if pyarrow is not installed."""
    return _imported("pipeline.query.arrow", "an Arrow table needs pyarrow", install=_extra("parquet"))


def have_arrow() -> bool:
    """Return whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def panel_arrow() -> ModuleType:
    """Return `pipeline.query.panel_arrow`. Raise Trouble if pyarrow is not installed."""
    return _imported("pipeline.query.panel_arrow", "an Arrow table needs pyarrow", install=_extra("parquet"))


def join_arrow() -> ModuleType:
    """Return `pipeline.query.join_arrow`. Raise Trouble if pyarrow is not installed."""
    return _imported("pipeline.query.join_arrow", "a join of tables needs pyarrow", install=_extra("parquet"))


def table_parquet() -> ModuleType:
    """Return `pipeline.transfer.table_parquet`. Raise Trouble if pyarrow is not installed."""
    return _imported("pipeline.transfer.table_parquet", "Parquet needs pyarrow", install=_extra("parquet"))


def joined_parquet() -> ModuleType:
    """Return `pipeline.transfer.joined_parquet`. Raise Trouble if pyarrow is not installed."""
    return _imported("pipeline.transfer.joined_parquet", "Parquet needs pyarrow", install=_extra("parquet"))


def calendars() -> ModuleType:
    """Return `pipeline.query.calendars`. Raise Trouble if exchange_calendars is not installed."""
    return _imported("pipeline.query.calendars", "trading days need exchange_calendars", install=_extra("calendars"))


def have_calendars() -> bool:
    """Return whether exchange_calendars is installed."""
    return importlib.util.find_spec("exchange_calendars") is not None


def pandas() -> ModuleType:
    """Return `pipeline.query.pandas_frame`. Raise Trouble if pandas is not installed."""
    return _imported("pipeline.query.pandas_frame", "a pandas data frame needs pandas", install="pandas")


def polars() -> ModuleType:
    """Return `pipeline.query.polars_frame`. Raise Trouble if Polars is not installed."""
    return _imported("pipeline.query.polars_frame", "a Polars data frame needs Polars", install="polars")


def parquet() -> ModuleType:
    """Return `pipeline.transfer.parquet`. Raise Trouble if pyarrow or numpy is not installed."""
    return _imported("pipeline.transfer.parquet", "Parquet needs pyarrow and numpy", install=_extra("parquet"))


def excel() -> ModuleType:
    """Return `pipeline.transfer.excel`. Raise Trouble if XlsxWriter is not installed."""
    return _imported("pipeline.transfer.excel", "an .xlsx file needs XlsxWriter", install=_extra("excel"))


def images() -> ModuleType:
    """Return `pipeline.plot.images`. Raise Trouble if vl-convert is not installed."""
    return _imported("pipeline.plot.images", "a picture in a file needs vl-convert", install=_extra("plot"))


def pages() -> ModuleType:
    """Return `pipeline.pages.routes`. Raise Missing if Jinja2 is not installed."""
    return _imported("pipeline.pages.routes", "pages need Jinja2", install=_extra("web"), error=Missing)


def agents() -> ModuleType:
    """Return `pipeline.agents.stdio`. Raise Missing if the SDK of the Model Context Protocol is not installed."""
    return _imported("pipeline.agents.stdio", "pipeline mcp needs mcp", install=_extra("mcp"), error=Missing)


def apprise() -> ModuleType:
    """Return the package that sends notifications. Raise Missing if it is not installed."""
    return _imported("apprise", "PIPELINE_NOTIFY_URLS needs apprise", install=_extra("notify"), error=Missing)


@contextmanager
def fleet() -> Iterator[None]:
    """Let the block import from modules of the fleet. Raise Missing if psycopg or Procrastinate is not installed.

    An import, unlike a module that a function returns, has types that are checked.
    """
    with _importing("a fleet needs psycopg and Procrastinate", install=_extra("fleet"), error=Missing):
        yield


def have_fleet() -> bool:
    """Return whether psycopg and Procrastinate are installed."""
    return all(importlib.util.find_spec(package) is not None for package in ("psycopg", "procrastinate"))


def installs(extra: str) -> str:
    """Return the command that installs what an extra of this project needs.

    It names the packages, not the project: that is installed from a checkout, and is on no index.
    """
    return f"pip install {_extra(extra)}"


def _extra(name: str) -> str:
    """Return the arguments of `pip install` for an extra."""
    return " ".join(f"'{package}'" for package in PACKAGES[name])


def _imported(module: str, problem: str, *, install: str, error: type[Trouble] = Trouble) -> ModuleType:
    if module not in sys.modules and install == _extra("parquet"):
        check_threads(_THREADS + _processors())
    with _importing(problem, install=install, error=error):
        return importlib.import_module(module)


_THREADS = 4
"""Besides one for each processor, which numpy's and Arrow's libraries start: without them they end the process."""


def _processors() -> int:
    """Return for how many processors numpy's library starts threads."""
    set_to = os.environ.get("OPENBLAS_NUM_THREADS", "")
    is_number = set_to.isdecimal() and set_to.isascii() and len(set_to) < _DIGITS
    return min(int(set_to) if is_number else os.cpu_count() or 1, _MOST_PROCESSORS)


_DIGITS = 9
_MOST_PROCESSORS = 64


@contextmanager
def _importing(problem: str, *, install: str, error: type[Trouble]) -> Iterator[None]:
    try:
        yield
    except ImportError as missing:
        if missing.name is not None and missing.name.partition(".")[0] == __package__:
            raise  # a mistake of this program's, not a missing package
        raise error(problem, remedy=f"pip install {install}") from None
