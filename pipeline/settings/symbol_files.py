"""Symbol files: symbols from a list with one a line, or from Alpha Vantage's LISTING_STATUS csv."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

from pipeline.errors import file_reason
from pipeline.files import WrongEncoding, read_text
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.settings.errors import SettingsError
from pipeline.text import few


def read_symbol_file(path: Path) -> tuple[list[Symbol], list[str]]:
    """Return the file's symbols, and notices of what was left out. Raise SettingsError, naming file and line."""
    shown = path if str(path).isprintable() else Path(repr(str(path)))  # an error is one line
    try:
        text = read_text(path)
    except WrongEncoding as error:
        raise SettingsError(f"{shown}: {error}", remedy=error.remedy) from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{shown} cannot be read ({file_reason(error)})") from None
    is_csv = text.lower().startswith("symbol,")
    symbols, notices = _from_csv(shown, text) if is_csv else (list(_from_lines(shown, text)), [])
    if not symbols:
        raise SettingsError(
            f"{shown} contains no symbols", remedy="list one per line, or use a LISTING_STATUS csv with active stocks"
        )
    return symbols, notices


def _from_lines(path: Path, text: str) -> Iterator[Symbol]:
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also split at control characters
        name = line.partition("#")[0].strip()
        if name:
            try:
                yield parse_symbol(name)
            except ValueError as error:
                raise SettingsError(f"{path}: line {number}: {error}") from None


def _from_csv(path: Path, text: str) -> tuple[list[Symbol], list[str]]:
    """Return the active stocks of a LISTING_STATUS csv, and notices: how many, and which names are not symbols."""
    symbols, refused = [], []
    try:
        for row in csv.DictReader(StringIO(text)):
            # Other csv files, such as that of `pipeline symbols`, lack these columns: all their rows count.
            if (row.get("status", "Active"), row.get("assetType", "Stock")) == ("Active", "Stock"):
                name = row.get("symbol") or row.get("Symbol") or ""
                try:
                    symbols.append(parse_symbol(name))
                except ValueError:
                    refused.append(name)
    except csv.Error as error:
        raise SettingsError(f"{path}: invalid csv: {error}") from None
    notices = [f"{path}: {len(symbols):,} active stocks taken from the csv"]
    if refused:
        notices.append(f"{path}: invalid symbols ignored: {few([repr(name) for name in refused])}")
    return symbols, notices


def without_duplicates(symbols: Iterable[Symbol]) -> tuple[tuple[Symbol, ...], list[str]]:
    """Return each symbol once, in order, and a notice of those that occurred more than once."""
    counts = Counter(symbols)
    repeated = [symbol for symbol, count in counts.items() if count > 1]
    return tuple(counts), [f"duplicate symbols ignored: {few(repeated)}"] if repeated else []
