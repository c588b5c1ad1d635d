"""API keys: each from its own variable or file, of which no error repeats one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.quota.limits import PLANS
from pipeline.settings.api_keys import api_key, api_keys
from pipeline.settings.environment import API_KEY, API_KEY_FILE, Environment
from tests.support.configurations import NO_VARIABLES, Configured, refusal

TWO = '[[keys]]\nname = "main"\n[[keys]]\nname = "second"\nplan = "premium-75"\n'
MAIN, SECOND = f"{API_KEY}_MAIN", f"{API_KEY}_SECOND"


def test_a_missing_key_is_refused_with_the_ways_to_set_one() -> None:
    line = refusal(lambda: api_key(NO_VARIABLES))

    assert API_KEY in line
    assert ".env" in line
    assert "pipeline collect --sandbox" in line


@pytest.mark.parametrize("others", [{}, {API_KEY: ""}])
def test_a_key_under_another_name_is_named_with_the_right_one(others: dict[str, str]) -> None:
    line = refusal(lambda: api_key(Environment({"ALPHA_VANTAGE_API_KEY": "S3CR3T", **others})))

    assert line == f"no API key: ALPHA_VANTAGE_API_KEY is set, which is not read; rename it to {API_KEY}"


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_key_is_refused(text: str) -> None:
    assert f"{API_KEY}: the API key is empty" in refusal(lambda: api_key(Environment({API_KEY: text})))


@pytest.mark.parametrize("text", ["two words", "a\tb", "k\u00e9y", "a\x1b[31mb"])
def test_an_invalid_key_is_refused_and_not_repeated(text: str) -> None:
    line = refusal(lambda: api_key(Environment({API_KEY: text})))

    assert line.startswith(f"{API_KEY}: invalid API key")
    assert text not in line


def test_the_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ABC\n")

    assert api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})) == "ABC"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf\n"])
def test_a_key_file_that_is_empty_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)

    assert "key: the API key is empty" in refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})))


def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    line = refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})))

    assert line.startswith(f"{API_KEY_FILE}: ")
    assert "cannot be read (no such file or directory)" in line


def test_a_key_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    assert "cannot be read (is a directory)" in refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path)})))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_key_file_in_another_encoding_is_named_with_what_to_do(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "key").write_bytes("ABC".encode(encoding))

    line = refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})))

    assert f"{tmp_path / 'key'}: the text is in UTF-16; save it as UTF-8" in line


def test_a_key_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"AB\xff")

    assert "cannot be read (not UTF-8)" in refusal(lambda: api_key(Environment({API_KEY_FILE: str(tmp_path / "key")})))


def test_a_key_file_is_used_where_the_key_itself_is_empty(tmp_path: Path, dotenv: Callable[..., Environment]) -> None:
    """As in the `.env` that `pipeline init` writes, once its last line is filled in."""
    (tmp_path / "key").write_text("ABC")

    assert api_key(dotenv(f"{API_KEY}=\n{API_KEY_FILE}={tmp_path / 'key'}\n")) == "ABC"


def test_a_key_file_of_the_environment_comes_before_a_key_in_dotenv(
    tmp_path: Path, dotenv: Callable[..., Environment]
) -> None:
    (tmp_path / "key").write_text("ABC")

    assert api_key(dotenv(f"{API_KEY}=DEF\n", **{API_KEY_FILE: str(tmp_path / "key")})) == "ABC"


def test_a_key_comes_before_a_key_file_in_the_same_place(tmp_path: Path) -> None:
    assert api_key(Environment({API_KEY: "DEF", API_KEY_FILE: str(tmp_path / "absent")})) == "DEF"


def test_each_key_has_its_variable_and_its_plan(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("DEF\n")

    keys = api_keys(Environment({MAIN: "ABC", f"{SECOND}_FILE": str(tmp_path / "key")}), configured(TWO))

    assert [(key.name, key.secret, key.limits) for key in keys] == [
        ("main", "ABC", PLANS["free"]),
        ("second", "DEF", PLANS["premium-75"]),
    ]
    assert keys[0].id != keys[1].id
    assert "ABC" not in repr(keys)


def test_the_only_key_has_no_name(configured: Configured) -> None:
    (key,) = api_keys(Environment({API_KEY: "ABC"}), configured('[source]\nplan = "premium-75"'))

    assert (key.name, key.secret, key.limits) == ("", "ABC", PLANS["premium-75"])


@pytest.mark.parametrize("variables", [{}, {MAIN: "ABC"}, {MAIN: "ABC", SECOND: " "}])
def test_a_key_that_is_missing_is_refused_by_its_variable(configured: Configured, variables: dict[str, str]) -> None:
    line = refusal(lambda: api_keys(Environment(variables), configured(TWO)))

    assert line.startswith("no API key for ")
    assert SECOND in line
    assert (MAIN in line) is (not variables)
    assert "ABC" not in line


def test_the_variable_of_a_single_key_is_not_read_beside_named_ones(configured: Configured) -> None:
    line = refusal(lambda: api_keys(Environment({API_KEY: "S3CR3T"}), configured(TWO)))

    assert f"{API_KEY} is set, which is not read beside [[keys]]" in line
    assert MAIN in line
    assert SECOND in line
    assert "S3CR3T" not in line


def test_the_variable_of_a_named_key_is_not_read_without_one(configured: Configured) -> None:
    line = refusal(lambda: api_keys(Environment({SECOND: "S3CR3T"}), configured()))

    assert f"{SECOND} is set, which is not read without [[keys]]" in line
    assert "S3CR3T" not in line


@pytest.mark.parametrize("name", ["ALPHA_VANTAGE_API_KEY_SECOND", "AV_KEY_SECOND", "ALPHAVANTAGE_API_KEY_second"])
def test_a_named_key_under_another_name_is_named_with_the_right_one(configured: Configured, name: str) -> None:
    line = refusal(lambda: api_keys(Environment({MAIN: "ABC", name: "DEF"}), configured(TWO)))

    assert line.endswith(f"{name} is set, which is not read; rename it to {SECOND}")


def test_the_key_of_another_name_is_not_taken_for_a_misspelt_one(configured: Configured) -> None:
    text = '[[keys]]\nname = "b"\n[[keys]]\nname = "a_b"'

    line = refusal(lambda: api_keys(Environment({f"{API_KEY}_A_B": "ABC"}), configured(text)))

    assert "rename" not in line


def test_an_invalid_named_key_is_refused_by_its_variable(configured: Configured) -> None:
    line = refusal(lambda: api_keys(Environment({MAIN: "ABC", SECOND: "S3CR3T x"}), configured(TWO)))

    assert line.startswith(f"{SECOND}: invalid API key")
    assert "S3CR3T" not in line


def test_one_key_under_two_names_is_refused(configured: Configured) -> None:
    line = refusal(lambda: api_keys(Environment({MAIN: "S3CR3T", SECOND: " S3CR3T\n"}), configured(TWO)))

    assert f"{MAIN} and {SECOND} hold the same key" in line
    assert "S3CR3T" not in line


def test_a_member_of_a_fleet_may_hold_some_of_its_keys(configured: Configured) -> None:
    settings = configured(f"[fleet]\n{TWO}")

    (key,) = api_keys(Environment({SECOND: "DEF"}), settings)

    assert key.name == "second"
    assert len(settings.plans) == 2
    assert MAIN in refusal(lambda: api_keys(NO_VARIABLES, settings))
