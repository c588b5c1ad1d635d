"""`[symbols.renamed]`: which renames it has, what is refused in one line, and which symbols are requested then."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.renames import Rename
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import load
from pipeline.settings.renames import read_renames
from tests.support.configurations import Configured, refusal
from tests.support.renames import rename

JUNE_9 = datetime(2022, 6, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('FB = "META"', rename("FB", "META")),
        ('fb = "$meta"', rename("FB", "META")),
        ('FB = {to = "META"}', rename("FB", "META")),
        ('FB = {to = "META", on = 2022-06-09}', rename("FB", "META", JUNE_9)),
        ('FB = {to = "META", on = "2022-06-09"}', rename("FB", "META", JUNE_9)),
        ('FB = {to = "META", on = 2022-06-09T00:00:00Z}', rename("FB", "META", JUNE_9)),
        ('FB = {to = "META", on = 2022-06-09T02:00:00+02:00}', rename("FB", "META", JUNE_9)),
        ('FB = {to = "META", on = 2022-06-09T00:00:00}', rename("FB", "META", JUNE_9)),
        ('FB = {to = "META", on = 2022-06-09, reused = true}', rename("FB", "META", JUNE_9, reused=True)),
        ('"BRK.B" = "BRK-B"', rename("BRK.B", "BRK-B")),
    ],
)
def test_a_rename_is_a_symbol_or_a_table(configured: Configured, line: str, expected: Rename) -> None:
    assert configured(f"[symbols.renamed]\n{line}").renames == (expected,)


def test_a_variable_has_them_as_json(configured: Configured) -> None:
    found = configured(PIPELINE_SYMBOLS__RENAMED='{"FB": {"to": "META", "on": "2022-06-09"}, "A": "B"}')

    assert found.renames == (rename("FB", "META", JUNE_9), rename("A", "B"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('FB = "META"\nMETA = "FB"', ["FB -> META -> FB", "cycle"]),
        ('FB = "FB"', ["FB -> FB", "cycle"]),
        ('A = "B"\nB = {to = "C", on = 2022-06-09}\nC = "A"', ["A -> B -> C -> A", "cycle"]),
        ('FB = "META"\nfb = "MVRS"', ["renamed.fb", "twice"]),
        ('"F B" = "META"', ["renamed.F B", "invalid symbol"]),
        ('FB = "M ETA"', ["renamed.FB", "invalid symbol"]),
        ("FB = 1", ["renamed.FB", "(it is 1)", "META"]),
        ("FB = {on = 2022-06-09}", ["renamed.FB", "`to`"]),
        ('FB = {to = "META", at = 2022-06-09}', ["renamed.FB", "'at'", "to, on, reused"]),
        ('FB = {to = "META", on = "yesterday"}', ["renamed.FB", "day", "'yesterday'"]),
        ('FB = {to = "META", on = 2022}', ["renamed.FB", "day"]),
        ('FB = {to = "META", on = 18:30:00}', ["renamed.FB", "day"]),
        ('FB = {to = "META", on = 0001-01-01}', ["renamed.FB", "day"]),
        ('FB = {to = "META", reused = true}', ["renamed.FB", "`on`"]),
        ('FB = {to = "META", on = 2022-06-09, reused = "yes"}', ["renamed.FB", "true or false"]),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(configured: Configured, lines: str, words: list[str]) -> None:
    line = refusal(lambda: configured(f"[symbols.renamed]\n{lines}"))

    assert "pipeline.toml: symbols.renamed" in line
    assert [word for word in words if word not in line] == []


def test_a_variable_is_named_in_an_error(configured: Configured) -> None:
    assert "PIPELINE_SYMBOLS__RENAMED" in refusal(lambda: configured(PIPELINE_SYMBOLS__RENAMED="FB=META"))
    assert "PIPELINE_SYMBOLS__RENAMED.FB" in refusal(lambda: configured(PIPELINE_SYMBOLS__RENAMED='{"FB": 1}'))


def test_the_newest_symbol_is_requested_in_place_of_an_old_one_once(configured: Configured) -> None:
    found = configured(
        '[symbols]\nlist = ["FB", "PEP", "META", "A"]\n[symbols.renamed]\nFB = "META"\nA = "B"\nB = "C"\n'
        '[schedule]\nsymbols = ["fb"]'
    )

    assert found.symbols == ("META", "PEP", "C")
    assert found.schedules[0].symbols == ("META",)
    assert any("META for FB, C for A" in notice for notice in found.notices)


def test_a_symbol_that_another_company_has_now_is_requested(configured: Configured) -> None:
    reused = '[symbols]\nlist = ["FB", "META"]\n[symbols.renamed]\nFB = {to = "META", on = 2022-06-09, reused = true}'
    given_up = (
        '[symbols]\nlist = ["META", "FB"]\n[symbols.renamed]\nMETA = {to = "METV", on = 2022-01-31}\n'
        'FB = {to = "META", on = 2022-06-09}'
    )

    assert configured(reused).symbols == ("FB", "META")
    assert configured(given_up).symbols == ("META",)


def test_a_rename_of_the_future_is_not_in_force_yet(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text('[symbols]\nlist = ["FB"]\n[symbols.renamed]\nFB = {to = "META", on = 2022-06-09}')
    before = load(path, Environment({}), now=lambda: datetime(2022, 6, 8, 23, 59, 59, 999_000, tzinfo=UTC))
    after = load(path, Environment({}), now=lambda: JUNE_9)

    assert (before.symbols, before.next_rename) == (("FB",), JUNE_9)
    assert (after.symbols, after.next_rename) == (("META",), None)


VALUES: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(["FB", "META", "2022-06-09", "9999-12-31T23:59:59-23:59", "\ud800", "", [], {}, None, 1, True]),
    st.text(max_size=4),
    st.floats(),
    st.dates(),
    st.datetimes(),
)


@given(
    st.dictionaries(
        st.sampled_from(["FB", "fb", "META", "A", "F B", ""]) | st.text(max_size=4),
        VALUES | st.dictionaries(st.sampled_from(["to", "on", "reused", "x"]), VALUES, min_size=1),
    )
)
def test_any_table_is_read_or_refused(table: dict[str, object]) -> None:
    with suppress(SettingsError):
        read_renames(table, "here")
