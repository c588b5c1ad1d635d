"""Plans: each key's limits by its name, and no limits in two places."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PLANS, Limit
from pipeline.settings.load import Settings
from tests.support.configurations import NO_VARIABLES, Configured, loaded_or_refused, origins, refusal

TABLES = ["keys", "fleet.keys"]


def tables(place: str, *tables: str) -> str:
    return "".join(f"[[{place}]]\n{table}\n" for table in tables)


def test_the_only_key_has_the_plan_of_the_source_and_no_name(configured: Configured) -> None:
    assert configured().plans == (KeyPlan("", PLANS["free"]),)
    assert configured('[source]\nlimits = ["3/hour"]').plans == (KeyPlan("", (Limit.parse("3/hour"),)),)


@pytest.mark.parametrize("place", TABLES)
def test_each_key_has_a_plan_or_limits(configured: Configured, place: str) -> None:
    settings = configured(
        tables(place, 'name = "a"', 'name = "B_2"\nplan = "premium-75"', 'name = "c"\nlimits = ["3/hour"]')
    )

    assert settings.plans == (
        KeyPlan("a", PLANS["free"]),
        KeyPlan("B_2", PLANS["premium-75"]),
        KeyPlan("c", (Limit.parse("3/hour"),)),
    )


@pytest.mark.parametrize("place", TABLES)
def test_each_value_of_a_key_has_its_place_and_origin(configured: Configured, tmp_path: Path, place: str) -> None:
    settings = configured(tables(place, 'name = "a"', 'name = "b"\nplan = "premium-75"'))

    values = {one.path: one.value for one in settings.values if one.path.startswith(place)}
    assert values == {
        f"{place}[1].name": "a",
        f"{place}[1].plan": "free",
        f"{place}[1].limits": None,
        f"{place}[2].name": "b",
        f"{place}[2].plan": "premium-75",
        f"{place}[2].limits": None,
    }
    assert origins(settings)[f"{place}[1].plan"] == "default"
    assert origins(settings)[f"{place}[2].plan"] == str(tmp_path / "pipeline.toml")
    assert "source.plan" not in origins(settings)


@pytest.mark.parametrize("place", TABLES)
@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("", ".name: a key needs a name"),
        ('name = ""', ".name: a key needs a name"),
        ('name = "my-key"', ".name: invalid name 'my-key'"),
        ('name = "f\u00fcnf"', ".name: invalid name"),
        ('name = "a\\n"', ".name: invalid name"),
        ('name = "File"', ".name: invalid name 'File'; use one that does not end in file"),
        ('name = "a_file"', ".name: invalid name 'a_file'"),
        ('name = "b"\nplan = "fre"', ".plan: unknown plan 'fre'"),
        ('name = "b"\nlimits = ["25/fortnight"]', ".limits: invalid limit"),
        ('name = "b"\nplan = "free"\nlimits = []', ".plan and "),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_by_its_place(
    configured: Configured, place: str, table: str, why: str
) -> None:
    assert f"pipeline.toml: {place}[2]{why}" in refusal(lambda: configured(tables(place, 'name = "a"', table)))


@pytest.mark.parametrize("name", ["ABCDEFGH12345678", "odd_key_9"])
def test_a_name_that_may_be_a_key_is_refused_and_not_repeated(configured: Configured, name: str) -> None:
    text = tables("keys", f'name = "{name}"')

    assert name not in refusal(lambda: configured(text, ALPHAVANTAGE_API_KEY_MAIN="odd_key_9"))


@pytest.mark.parametrize("names", [("a", "a"), ("a", "A")])
def test_two_keys_of_one_name_are_refused(configured: Configured, names: tuple[str, str]) -> None:
    line = refusal(lambda: configured(tables("keys", *(f'name = "{name}"' for name in names))))

    assert "keys[1] and keys[2] are both named a" in line


@pytest.mark.parametrize("place", TABLES)
@pytest.mark.parametrize(
    ("text", "variables"), [('[source]\nplan = "free"\n', {}), ("", {"PIPELINE_SOURCE__LIMITS": "[]"})]
)
def test_the_limits_of_the_source_are_refused_beside_named_keys(
    configured: Configured, place: str, text: str, variables: dict[str, str]
) -> None:
    line = refusal(lambda: configured(text + tables(place, 'name = "a"'), **variables))

    assert ("pipeline.toml: source.plan" if text else "PIPELINE_SOURCE__LIMITS") in line
    assert f"[[{place}]]" in line


def test_keys_in_both_places_are_refused(configured: Configured) -> None:
    line = refusal(lambda: configured("".join(tables(place, 'name = "a"') for place in TABLES)))

    assert "[[keys]] and [[fleet.keys]] are both set" in line


def test_no_keys_are_the_same_as_none(configured: Configured) -> None:
    assert configured("keys = []\n[fleet]\nkeys = []").plans == configured().plans


_VALUES = st.sampled_from(
    ['"a"', '"A"', '"free"', "[]", '["1/day"]', "1", "true", "{}", "[[]]", "[{}]", '""', '"\\u0000"']
)


@given(
    place=st.sampled_from(TABLES),
    keys=st.lists(st.dictionaries(st.sampled_from(["name", "plan", "limits", "key", "x"]), _VALUES), max_size=3),
    before=st.sampled_from(
        ["", "[fleet]\n", '[fleet]\nname = "x"\n', "[source]\nlimits = []\n", "[[keys]]\nname='z'\n"]
    ),
)
@example(place="keys", keys=[{"name": '"a"'}, {"name": '"b"', "limits": "[]"}], before="[fleet]\n")
def test_any_keys_are_accepted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: str, keys: list[dict[str, str]], before: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "keys.toml"
    lines = ("\n".join(f"{key} = {value}" for key, value in table.items()) for table in keys)
    path.write_text(before + tables(place, *lines), encoding="utf-8")

    taken = loaded_or_refused(path, NO_VARIABLES)

    if isinstance(taken, Settings):
        assert len({plan.name.upper() for plan in taken.plans}) == len(taken.plans)
    else:
        assert "\n" not in taken
