"""Name patterns: what the path of a file says about the responses in it, as in `{symbol}/{date}.json`.

A pattern is compared with the end of a path, part by part. Each part holds little that can vary, so that no path takes
long to compare; and a path that matches in two ways does not match, so that no symbol is guessed.
"""

import re
from datetime import datetime
from pathlib import PurePath
from typing import NamedTuple

from pipeline.instants import parse_received
from pipeline.text import quoted, shown

PLACEHOLDERS = (
    "use {symbol}, and {date} (2024-03-14 or 20240314) or {time} (2024-03-14T18:30:00Z or 20240314T183000Z);"
    " * is anything"
)
_LONGEST_PATTERN = 200
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}"
_TIME = rf"(?:{_DATE})[T_][0-9]{{2}}:?[0-9]{{2}}(?::?[0-9]{{2}})?(?:[.,][0-9]{{1,9}})?(?:Z|[-+][0-9]{{2}}:?[0-9]{{2}})?"
_SHORTEST = {"symbol": "(?P<symbol>.{1,40}?)", "date": f"(?P<date>{_DATE})", "time": f"(?P<time>{_TIME})", "*": ".*?"}
_LONGEST = _SHORTEST | {"symbol": "(?P<symbol>.{1,40})", "*": ".*"}
"""Two ways to match: where they find different values, the path can be read in more than one way."""
_VARIABLE = re.compile(r"\{([^{}]*)\}|(\*)")
_INSTANT = re.compile(r"([0-9]{4}-?[0-9]{2}-?[0-9]{2})(?:[T_]([0-9]{2}):?([0-9]{2}):?([0-9]{2})?(.*))?")


class Named(NamedTuple):
    """What a path says: a symbol and an instant as text, or None."""

    symbol: str | None
    received: str | None

    def received_at(self) -> datetime | None:
        """Return the instant; of a date its end, in UTC. Raise ValueError for one that no calendar has."""
        return None if self.received is None else parse_received(_extended(self.received))


class NamePattern:
    """A pattern of the end of a path."""

    def __init__(self, text: str, *, names_something: bool = True) -> None:
        """Raise ValueError, saying what is wrong, for a pattern that could not be meant.

        `names_something`: whether it has to name a symbol or a time. (Files of many documents need not.)
        """
        self.text = text
        parts = text.split("/")
        variables = [_name(match) for part in parts for match in _VARIABLE.finditer(part)]
        if wrong := _mistake(text, parts, variables, names_something=names_something):
            raise ValueError(f"invalid pattern {quoted(text)}: {wrong}")
        self._parts = [(_compiled(part, _SHORTEST), _compiled(part, _LONGEST)) for part in parts]

    @property
    def names_time(self) -> bool:
        """Whether a path says when its responses were received."""
        return "{date}" in self.text or "{time}" in self.text

    def match(self, path: PurePath) -> Named | None:
        """Return what the path says; None if it does not match, or in more than one way."""
        found = path.parts[-len(self._parts) :]
        if len(found) < len(self._parts):
            return None
        values: dict[str, str] = {}
        for text, (shortest, longest) in zip(found, self._parts, strict=True):
            one, other = shortest.fullmatch(text), longest.fullmatch(text)
            if one is None or other is None or one.groupdict() != other.groupdict():
                return None
            values |= one.groupdict()
        return Named(values.get("symbol"), values.get("date") or values.get("time"))


def _name(variable: re.Match[str]) -> str:
    return "*" if variable[1] is None else variable[1]


def _mistake(text: str, parts: list[str], variables: list[str], *, names_something: bool) -> str | None:
    """Return what is wrong with a pattern, None if nothing is."""
    names = [name for name in variables if name != "*"]
    unknown = [name for name in names if name not in _SHORTEST]
    mistakes = {
        f"it is longer than {_LONGEST_PATTERN} characters": len(text) > _LONGEST_PATTERN,
        f"unknown {{{shown(''.join(unknown[:1]))}}}; {PLACEHOLDERS}": unknown,
        PLACEHOLDERS: (names_something and not names) or re.search(r"[{}]", _VARIABLE.sub("", text)),
        "it names the same twice": len(set(names)) < len(names) or {"date", "time"} <= set(names),
        "it has a slash too many, or a . or .. between slashes": any(part in ("", ".", "..") for part in parts),
        "it has more than one * between two slashes": any(part.count("*") > 1 for part in parts),
        "put a character between what varies, as in {symbol}_{date}.json": re.search(r"[}*][{*]", text),
    }
    return next((mistake for mistake, is_made in mistakes.items() if is_made), None)


def _compiled(part: str, ways: dict[str, str]) -> re.Pattern[str]:
    """Return the regular expression of a part: a constant for each variable, all else to the letter."""
    pieces = []
    place = 0
    for variable in _VARIABLE.finditer(part):
        pieces += [re.escape(part[place : variable.start()]), ways[_name(variable)]]
        place = variable.end()
    return re.compile("".join([*pieces, re.escape(part[place:])]), re.DOTALL)


def _extended(text: str) -> str:
    """Return an instant in ISO 8601's extended form: names often leave out what is not a digit."""
    found = _INSTANT.fullmatch(text)
    assert found is not None, "the pattern has matched it"
    day, hour, minute, second, rest = found.groups()
    digits = day.replace("-", "")
    date = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return date if hour is None else f"{date}T{hour}:{minute}:{second or '00'}{rest}"
