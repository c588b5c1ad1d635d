"""`--universe`: which companies a question is restricted to, and what is not known of them."""

from datetime import datetime

from pipeline.cli.options import Options
from pipeline.errors import Trouble
from pipeline.instants import for_people
from pipeline.query.history import History
from pipeline.text import count


def configured_of(history: History, instant: datetime, wanted: list[str] | None) -> list[str]:
    """Return the companies with a snapshot that were configured at an instant: all, or those wanted.

    Raise Trouble, saying why, if there are none.
    """
    listed = history.universe(instant)
    found = sorted({*listed}.intersection(history.symbols() if wanted is None else wanted))
    if found:
        return found
    at = f"{for_people(instant)} UTC"
    if not listed:
        raise Trouble(f"nothing was configured at {at}, as far as the database knows", remedy=_known_since(history))
    whose = "of those named" if wanted is not None else "with a snapshot"
    raise Trouble(f"none {whose} is among the {count(len(listed), 'symbol')} that were configured at {at}")


def say_since_when(history: History, since: datetime | None, options: Options) -> None:
    """Print since when lists are known, if the question begins earlier."""
    began_at = history.universe_began_at()
    if began_at is None or since is None or since < began_at:
        options.say(f"within the configured lists: {_known_since(history)}")


def _known_since(history: History) -> str:
    began_at = history.universe_began_at()
    if began_at is None:
        return "no list is known, since neither collect nor run has noted one"
    return f"lists are known from {for_people(began_at)} UTC on"
