"""Secrets: the API key and the URLs of the daemon, of which no error repeats one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings.environment import (
    API_KEY,
    API_KEY_FILE,
    NOTIFY_URLS,
    PING_URL,
    WEB_TOKEN,
    Environment,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.secrets import api_key, notify_urls, ping_url, redaction, web_token
from tests.support.configurations import NO_VARIABLES, refusal

TOKEN = "0f3a9c2b7d41e6588c90aa17"


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


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        (None, ()),
        ("", ()),
        (" \n , ", ()),
        ("ntfy://topic", ("ntfy://topic",)),
        ("a://x b://y\n\tc://z", ("a://x", "b://y", "c://z")),
        ("a://x,b://y , c://z,", ("a://x", "b://y", "c://z")),
        ("a://x,\nb://y", ("a://x", "b://y")),
        (
            "mailtos://u:p@h?to=a@x.com,b@y.com,JSON://h/p,q",
            ("mailtos://u:p@h?to=a@x.com,b@y.com", "JSON://h/p,q"),
        ),
    ],
)
def test_notify_urls_are_separated_by_spaces_and_by_commas_before_a_scheme(
    text: str | None, urls: tuple[str, ...]
) -> None:
    assert notify_urls(Environment({} if text is None else {NOTIFY_URLS: text})) == urls


@pytest.mark.parametrize("text", ["S3CR3T", "a://x S3CR3T", "://S3CR3T", "a:/S3CR3T", "a://\x1bS3CR3T", "S3CR3T://"])
def test_an_invalid_notify_url_is_refused_and_not_repeated(text: str) -> None:
    line = refusal(lambda: notify_urls(Environment({NOTIFY_URLS: text})))

    assert line.startswith(f"{NOTIFY_URLS}: ")
    assert "mailto://" in line
    assert "S3CR3T" not in line


@given(st.text(max_size=40) | st.text(st.sampled_from("ab:/, \n"), max_size=40))
def test_any_text_is_accepted_or_refused_as_notify_urls(text: str) -> None:
    try:
        urls = notify_urls(Environment({NOTIFY_URLS: text}))
    except SettingsError:
        return
    assert all("://" in url and not set(url) & set(" \n") for url in urls)


@pytest.mark.parametrize(
    "url", ["https://hc-ping.com/abc", "http://127.0.0.1:8000/ping", "http://[::1]/x", "https://k.example/push/x?msg=a"]
)
def test_a_ping_url_is_https_or_loopback(url: str) -> None:
    assert ping_url(Environment({PING_URL: f" {url}\n"})) == url


@pytest.mark.parametrize("variables", [{}, {PING_URL: ""}, {PING_URL: "  "}])
def test_an_empty_ping_url_is_none(variables: dict[str, str]) -> None:
    assert ping_url(Environment(variables)) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hc-ping.com/S3CR3T", "plain http"),
        ("ftp://hc-ping.com/S3CR3T", "invalid URL; use one such as https://hc-ping.com/"),
        ("S3CR3T", "invalid URL"),
        ("https:///S3CR3T", "invalid URL"),
        ("https://h/S3CR3T x", "invalid URL"),
        ("https://h:99999/S3CR3T", "invalid URL"),
        ("https://h:0/S3CR3T", "invalid URL"),
        ("https://h:x/S3CR3T", "invalid URL"),
        ("https://h/S3CR3T\r\nX-Header: x", "invalid URL"),
        ("https://h/S3CR3T\udc80", "invalid URL"),
        ("https://[::1/S3CR3T", "invalid URL"),
        ("http://127.0.0.1\\@h/S3CR3T", "invalid URL"),
    ],
)
def test_an_unsafe_ping_url_is_refused_and_not_repeated(url: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        ping_url(Environment({PING_URL: url}, from_dotenv=frozenset({PING_URL})))

    assert str(refused.value).startswith(f".env: {PING_URL}: {why}")
    assert "S3CR3T" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_a_token_is_returned_without_blanks_around_it_and_an_empty_one_is_none() -> None:
    assert web_token(Environment({WEB_TOKEN: f" {TOKEN}\n"})) == TOKEN
    for variables in ({}, {WEB_TOKEN: ""}, {WEB_TOKEN: " "}):
        assert web_token(Environment(variables)) is None


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [
        ({WEB_TOKEN: "S3CR3T"}, "openssl rand"),
        ({WEB_TOKEN: "S3CR3T with blanks in it"}, "openssl rand"),
        ({WEB_TOKEN: "S3CR3T\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"}, "openssl rand"),
        ({"PIPELINE_WEB__TOKEN": "S3CR3TS3CR3TS3CR3T"}, WEB_TOKEN),
        ({WEB_TOKEN: "S3CR3TS3CR3TS3CR3T", API_KEY: "S3CR3TS3CR3TS3CR3T"}, "of its own"),
    ],
)
def test_a_token_that_protects_nothing_is_refused_and_not_repeated(variables: dict[str, str], remedy: str) -> None:
    with pytest.raises(SettingsError) as refused:
        web_token(Environment(variables))
    assert remedy in (refused.value.remedy or "")
    assert "S3CR3T" not in str(refused.value)


def test_a_token_is_hidden_whole_and_its_words_are_not() -> None:
    redact = redaction(Environment({WEB_TOKEN: "correct-horse-battery"}))
    assert "horse" not in redact("GET /query?apikey=correct-horse-battery HTTP/1.1")
    assert redact("a horse and a battery") == "a horse and a battery"
