"""Regular expressions: none takes more than steps proportional to its text. `re` holds Python's lock while it matches:
a quadratic one on a megabyte would stop everything for hours, handlers of signals included.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import pytest

from pipeline.api.responses import REFUSALS
from pipeline.model.fields import CATALOGUE
from pipeline.model.values import SEPARATOR, usual_pattern
from pipeline.redaction import Redaction
from pipeline.settings import key_forms
from tests.support.backtracking import Pattern, bad_text
from tests.support.patterns import package_patterns

PROPORTIONAL = 1.3
"""More growth than this is not proportional: 1.0 is, 1.67 is the square."""


def usual_values() -> Iterator[Pattern]:
    """Yield the pattern of a field of each kind: those of documents repeat them, with separators between."""
    one_of_each = {field.kind: field for field in CATALOGUE}
    for field in one_of_each.values():
        pattern = re.compile(f"{usual_pattern(field)}{SEPARATOR}", re.ASCII)
        yield Pattern(f"the usual values of {field.name}", pattern, is_searched=False)


COMPUTED: Mapping[str, Sequence[Pattern]] = {
    "pipeline.api.responses": [Pattern("REFUSALS", pattern, is_searched=True) for pattern, _ in REFUSALS],
    "pipeline.model.document": [*usual_values()],
    "pipeline.model.values": [],  # the program's own words
    "pipeline.redaction": [Pattern("short keys", word, is_searched=True) for word in Redaction(["demo"])._words],
    "pipeline.partials": [],  # the names of files in a folder: they are short
    "pipeline.settings.key_forms": [Pattern("mistakes", one, is_searched=True) for one, _ in key_forms._MISTAKES],
    "pipeline.transfer.name_patterns": [],  # the parts of a path: they are short
    "pipeline.store.backup": [],  # the names of files in a folder: they are short
}
"""The patterns of modules that compute them."""


def test_the_steps_of_every_pattern_are_proportional_to_its_text() -> None:
    patterns = list(package_patterns(COMPUTED))
    assert len(patterns) > 40
    found = {f"{one.place}: {one.compiled.pattern!r}": bad_text(one, proportional=PROPORTIONAL) for one in patterns}
    assert {place: text for place, text in found.items() if text is not None} == {}


@pytest.mark.parametrize(
    ("pattern", "is_searched"),
    [
        (r"[0-9]+ per day", True),
        (r"a[a-z]+x", True),
        (r"<!--.*?-->", True),
        (r"[a-z]*[a-z0-9]*!", False),
        (r"(?:a|a)*b", False),
        (r"(?:[a-z]+)+!", False),
        (r"(?:-?[a-z]+)*!", False),
        (r"(?:[a-z]{1,20}){1,20}!", False),
    ],
)
def test_a_pattern_that_takes_more_steps_is_found(pattern: str, is_searched: bool) -> None:
    assert bad_text(Pattern("here", re.compile(pattern), is_searched), proportional=PROPORTIONAL) is not None


@pytest.mark.parametrize(
    ("pattern", "is_searched"),
    [
        (r"[0-9]{1,9} per day", True),
        (r"a\S+", True),
        (r"(?:[-.][a-z]+)*!", False),
        (r"[a-z]+?\.?(?::[0-9]{1,5})?", False),
    ],
)
def test_a_pattern_whose_steps_are_proportional_is_not(pattern: str, is_searched: bool) -> None:
    assert bad_text(Pattern("here", re.compile(pattern), is_searched), proportional=PROPORTIONAL) is None
