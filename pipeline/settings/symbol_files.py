"""Symbol files: reads the list of symbols that a file holds, and lists without duplicates."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import file_reason
from pipeline.files import WrongEncoding, read_text
from pipeline.model.symbol_lists import NotAList, read_symbol_list
from pipeline.model.symbols import Symbol, requested_as
from pipeline.settings.errors import SettingsError
from pipeline.text import few, printable


def read_symbol_file(path: Path) -> tuple[tuple[Symbol, ...], list[str]]:
    """Return the file's symbols, and notices of what was changed or left out. Raise SettingsError, naming the lines."""
    shown = path if str(path).isprintable() else Path(repr(str(path)))  # an error is one line
    try:
        read = read_symbol_list(read_text(path))
    except WrongEncoding as error:
        raise SettingsError(f"{shown}: {error}", remedy=error.remedy) from None
    except NotAList as error:
        raise SettingsError(f"{shown}: {printable(str(error))}", remedy=error.remedy) from None
    except (OSError, ValueError) as error:
        remedy = "save it as text in UTF-8; Excel calls it CSV UTF-8" if isinstance(error, UnicodeError) else None
        raise SettingsError(f"{shown} cannot be read ({file_reason(error)})", remedy=remedy) from None
    if not read.symbols:
        raise SettingsError(
            f"{shown} contains no symbols", remedy="list one per line, or use a LISTING_STATUS csv with active stocks"
        )
    return read.symbols, [f"{shown}: {printable(note)}" for note in read.notes]


def without_duplicates(symbols: Iterable[Symbol]) -> tuple[tuple[Symbol, ...], list[str]]:
    """Return each symbol once, in order, and notices: which occurred more than once, and which are one company."""
    counts = Counter(symbols)
    repeated = [symbol for symbol, count in counts.items() if count > 1]
    notices = [f"duplicate symbols ignored: {few(repeated)}"] if repeated else []
    twice = [
        f"{symbol} and {other}" for symbol in counts if (other := requested_as(symbol)) != symbol and other in counts
    ]
    if twice:
        notices.append(f"one company, requested twice: {few(twice)}")
    return tuple(counts), notices
