"""The configuration file: unknown keys, secrets and invalid TOML are refused, with place and remedy."""

from pathlib import Path

import pytest

from pipeline.settings.environment import (
    API_KEY,
    FLEET_URL,
    NOTIFY_URLS,
    PING_URL,
    WEB_TOKEN,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import load
from tests.support.configurations import NO_VARIABLES, Configured, refusal


def test_an_unknown_key_is_refused_and_the_nearest_named(configured: Configured) -> None:
    line = refusal(lambda: configured('[source]\npaln = "free"'))

    assert "pipeline.toml: source.paln: " in line
    assert "source.plan?" in line


@pytest.mark.parametrize("text", ['plan = "free"', '[collect]\nplan = "free"'])
def test_a_key_in_the_wrong_table_is_refused_and_the_right_one_named(configured: Configured, text: str) -> None:
    assert "source.plan?" in refusal(lambda: configured(text))


def test_the_remedy_is_a_part_of_its_own(configured: Configured) -> None:
    with pytest.raises(SettingsError) as refused:
        configured('[source]\npaln = "free"')

    assert "source.plan?" in (refused.value.remedy or "")
    assert "source.plan?" not in refused.value.problem


def test_a_key_in_quotes_with_its_table_is_refused(configured: Configured) -> None:
    assert "without the quotes" in refusal(lambda: configured('"source.plan" = "free"'))
    assert "unknown key" in refusal(lambda: configured('"fleet.keys" = []'))


@pytest.mark.parametrize("table", ["[[keys]]", "[[fleet.keys]]"])
def test_an_unknown_key_of_one_of_several_keys_is_refused_by_its_place(configured: Configured, table: str) -> None:
    line = refusal(lambda: configured(f'{table}\nname = "a"\n{table}\nnaem = "b"'))

    assert f"{table.strip('[]')}[2].naem: unknown key; did you mean " in line
    assert line.endswith(".name?")


def test_keys_within_the_source_are_refused_with_their_place(configured: Configured) -> None:
    assert "did you mean keys?" in refusal(lambda: configured('[[source.keys]]\nname = "a"'))


def test_an_unknown_table_is_refused_and_the_nearest_named(configured: Configured) -> None:
    line = refusal(lambda: configured('[sorce]\nplan = "free"'))

    assert "pipeline.toml: sorce: " in line
    assert "source?" in line


@pytest.mark.parametrize(
    "text",
    ['api_key = "s3cr3t"', '[source]\napikey = "s3cr3t"', '[api]\nkey = "s3cr3t"', 'ALPHAVANTAGE_API_KEY="s3cr3t"'],
)
def test_an_api_key_in_the_file_is_refused_with_where_it_belongs(configured: Configured, text: str) -> None:
    line = refusal(lambda: configured(text))

    assert "secret" in line
    assert "ALPHAVANTAGE_API_KEY" in line
    assert ".env" in line
    assert "s3cr3t" not in line


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('PIPELINE_NOTIFY_URLS = "S3CR3T"', NOTIFY_URLS),
        ('[notify]\nurls = ["S3CR3T"]', NOTIFY_URLS),
        ('[status]\nnotify-url = "S3CR3T"', NOTIFY_URLS),
        ('PIPELINE_PING_URL = "S3CR3T"', PING_URL),
        ('[[schedule]]\nping_url = "S3CR3T"', PING_URL),
        ('[ping]\nurl = "S3CR3T"', PING_URL),
        ('[web]\ntoken = "S3CR3T"', WEB_TOKEN),
        ('[fleet]\nurl = "S3CR3T"', FLEET_URL),
        ('PIPELINE_FLEET_URL = "S3CR3T"', FLEET_URL),
        ('[[keys]]\nname = "a"\nkey = "S3CR3T"', f"{API_KEY}_<NAME>"),
        ('[[fleet.keys]]\nsecret = "S3CR3T"', f"{API_KEY}_<NAME>"),
        ('[[keys]]\napi_key = "S3CR3T"', API_KEY),
        ('PIPELINE_WEB_TOKEN = "S3CR3T"', WEB_TOKEN),
    ],
)
def test_another_secret_in_the_file_is_refused_with_where_it_belongs(
    configured: Configured, text: str, variable: str
) -> None:
    line = refusal(lambda: configured(text))

    assert f"set {variable}" in line
    assert ".env" in line
    assert "S3CR3T" not in line


@pytest.mark.parametrize("text", ["schedule = []", "schedule = [1]", "schedule = 1", "schedule = [{}, 1]"])
def test_a_schedule_that_is_not_a_table_is_refused_with_both_forms(configured: Configured, text: str) -> None:
    line = refusal(lambda: configured(text))

    assert "pipeline.toml: schedule " in line
    assert "[schedule]" in line
    assert "[[schedule]]" in line


@pytest.mark.parametrize("text", ["[[collect]]\nattempts = 3", '"schedule[1]" = 1', "[[schedule]]\n'cron[1]' = 'x'"])
def test_no_other_table_is_repeated_and_none_is_numbered(configured: Configured, text: str) -> None:
    assert any(why in refusal(lambda: configured(text)) for why in ("collect must be a table", "unknown key"))


def test_a_configuration_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    line = refusal(lambda: load(tmp_path, NO_VARIABLES))

    assert "cannot be read (is a directory)" in line
    assert "text file" in line  # `pipeline init` alone would not replace it


def test_a_configuration_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_bytes(b'database = "\xff.db"')

    line = refusal(lambda: load(path, NO_VARIABLES))

    assert "cannot be read (not UTF-8)" in line
    assert "save it" in line


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_bytes(b'\xef\xbb\xbfdatabase = "x.db"\r\n')

    assert load(path, NO_VARIABLES).database == Path("x.db")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_configuration_in_another_encoding_is_refused_with_what_to_do(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_bytes('database = "x.db"\n'.encode(encoding))

    assert refusal(lambda: load(path, NO_VARIABLES)).startswith(f"{path}: the text is in UTF-16; save it as UTF-8")


@pytest.mark.parametrize("text", ["database = ", "[source", "a = 1\na = 2", f"a = {'[' * 50_000}", f"a = {'9' * 5000}"])
def test_invalid_toml_is_refused(configured: Configured, text: str) -> None:
    assert "pipeline.toml: invalid TOML: " in refusal(lambda: configured(text))


def test_an_error_in_toml_names_the_key_but_no_value(configured: Configured) -> None:
    said = refusal(lambda: configured("[source]\nplan = S3CR3T"))

    assert "plan = ..." in said
    assert "quotes" in said
    assert "S3CR3T" not in said + refusal(lambda: configured("S3CR3T = = 1"))
