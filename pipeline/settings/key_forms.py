"""Key forms: what an API key usually looks like, and what none does. No text here repeats a key."""

import re
from typing import NamedTuple


class Mistake(NamedTuple):
    """Why a text cannot be a key, and what to do."""

    problem: str
    remedy: str


_MISTAKES = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), Mistake(problem, remedy))
    for pattern, problem, remedy in (
        (r"\n", "it has more than one line", "keep the key alone"),
        (
            r"""^["'`\u2018-\u201e]|["'`\u2018-\u201e]$""",
            "quotes are part of it",
            "remove them: docker's --env-file keeps quotes",
        ),
        (r"\$[{(]|\{\{|^\$[a-z_]\w*$|^%\w+%$", "it names a variable", "write the key itself: nothing is expanded here"),
        (r"^(?:export )?\w{0,40}key\w{0,40} ?=", "a name is part of it", "keep only what follows the ="),
        (r"://", "it is a URL", "keep only what follows apikey= in it"),
        (r"\s", "it has a blank in it", "copy it again: a key has none"),
        (r"[^!-~]", "it has characters that are not ASCII", "copy it again: a key is of letters and digits"),
    )
)
_LONGEST = 1_000
_USUAL = re.compile(r"[A-Z0-9]{16}")
_PLACEHOLDER = re.compile(
    r"your|api.?key|my.?key|the.?key|change.?me|replace|insert|example|placeholder|xxxx|^<|>$", re.IGNORECASE
)


def mistake_in(key: str) -> Mistake | None:
    """Return why a text, without blanks around it, cannot be a key; None if it can."""
    if len(key) > _LONGEST:
        return Mistake(f"it has more than {_LONGEST:,} characters", "keep the key alone: one has about 16")
    return next((mistake for pattern, mistake in _MISTAKES if pattern.search(key)), None)


def unusual_form(key: str) -> str | None:
    """Return in what a key differs from those that the API gives out, None if it does not. Other keys might exist."""
    if key == "demo":
        return "the key of the API's examples, which answers for few symbols"
    if _PLACEHOLDER.search(key):
        return f"{len(key)} characters that look like a placeholder"
    return None if _USUAL.fullmatch(key) else f"{len(key)} characters, but not 16 capital letters and digits"
