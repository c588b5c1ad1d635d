"""Secrets: the URLs of the daemon and the token, of which no error repeats one; and what is hidden."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings.environment import (
    API_KEY,
    NOTIFY_URLS,
    PING_URL,
    WEB_TOKEN,
    Environment,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.secrets import notify_urls, ping_url, redaction, web_token
from tests.support.configurations import refusal

TOKEN = "0f3a9c2b7d41e6588c90aa17"


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


@given(name=st.sampled_from(["", "_MAIN", "_x", "_A_1"]), key=st.from_regex("[A-Z0-9]{16}", fullmatch=True))
def test_each_key_is_hidden_whatever_its_name(name: str, key: str) -> None:
    redact = redaction(Environment({API_KEY: "ABCDEFGHIJKLMNOP", f"{API_KEY}{name}": key}))

    assert key not in redact(f"apikey={key}&x")
    assert not name or redact("ABCDEFGH") == "***"


def test_the_key_in_a_file_is_hidden_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ABCDEFGHIJKLMNOP\n")

    assert redaction(Environment({f"{API_KEY}_MAIN_FILE": str(tmp_path / "key")}))("GHIJKLMN") == "***"


@pytest.mark.parametrize("name", ["PIPELINE_FLEET_URL", "PIPELINE_FLEET__URL"])
@given(password=st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=8))
def test_the_password_of_the_fleets_database_is_hidden_as_it_is_and_as_it_is_written(name: str, password: str) -> None:
    written = quote(password, safe="")
    redact = redaction(Environment({name: f"postgresql://me:{written}@db/fleet"}))

    assert password not in redact(f"(((password {password} of)))") or password in "(((password *** of)))"
    assert written not in redact(f"postgresql://me:{written}@other/fleet")
    assert redact("me@db/fleet") == "me@db/fleet"


@pytest.mark.parametrize("sign", ["@", ":", "/", "?", "#", "&"])
def test_of_a_password_with_a_character_that_should_be_escaped_each_part_is_hidden(sign: str) -> None:
    redact = redaction(Environment({"PIPELINE_FLEET_URL": f"postgresql://me:firsthalf{sign}secondhalf@db/fleet"}))

    assert redact("cannot resolve firsthalf, nor secondhalf") == "cannot resolve ***, nor ***"


def test_a_token_is_no_api_key_of_any_name() -> None:
    with pytest.raises(SettingsError, match="is the API key"):
        web_token(Environment({WEB_TOKEN: TOKEN, f"{API_KEY}_MAIN": TOKEN}))
