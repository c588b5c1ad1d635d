"""Proxies: an http URL with or without user and password, which nothing repeats."""

import json
from pathlib import Path

import pytest

from pipeline.settings.environment import Environment
from pipeline.settings.load import load
from pipeline.settings.proxies import Proxy, secrets_in
from pipeline.settings.secrets import redaction
from tests.support.configurations import Configured, refusal

VARIABLE = "PIPELINE_SOURCE__PROXY"
URL = "http://carla:pa55%40w0rd@proxy.example:3128"


def test_without_it_there_is_no_proxy_whatever_the_environment_says(configured: Configured) -> None:
    assert configured().proxy is None
    assert configured('[source]\nproxy = ""').proxy is None
    assert load(None, Environment({"HTTPS_PROXY": "http://proxy.example:3128"})).proxy is None


@pytest.mark.parametrize("url", ["http://proxy.example:3128", "http://proxy.example:3128/", URL, "http://[::1]:3128"])
def test_a_url_is_accepted_from_the_file_and_from_a_variable_and_shown_masked(
    configured: Configured, url: str, tmp_path: Path
) -> None:
    of_file = configured(f'[source]\nproxy = "{url}"')
    of_variable = load(of_file.config, Environment({VARIABLE: url}))

    for settings in (of_file, of_variable):
        assert settings.proxy == Proxy(url)
        (shown,) = (one.value for one in settings.values if one.path == "source.proxy")
        assert shown == str(settings.proxy)
        assert "pa55" not in shown
        assert "carla" not in shown
        assert "pa55" not in repr(settings)
        assert "pa55" not in repr(settings.values)
    assert str(Proxy(URL)) == "http://***@proxy.example:3128"


def test_a_variable_can_switch_the_proxy_of_the_file_off(configured: Configured) -> None:
    config = configured(f'[source]\nproxy = "{URL}"').config

    assert load(config, Environment({VARIABLE: ""})).proxy is None


@pytest.mark.parametrize(
    "url",
    ["proxy.example:3128", "https://carla:pa55@proxy.example:3128", "socks5://carla:pa55@proxy.example:1080", "http://",
     "http://carla:pa55@proxy.example", "http://carla:pa55@proxy.example:0", "http://carla:pa55@proxy.example:x",
     "http://carla:pa55@proxy.example:3128/path", "http://carla:pa55@proxy.example:3128?x", "http://carla:pa55@:3128",
     "http://carla:pa55 w@proxy.example:3128", "http://carla:pa55é@proxy.example:3128", "pa55", "http://[:pa55@x"],
)  # fmt: skip
def test_any_other_text_is_refused_with_an_example_and_not_repeated(configured: Configured, url: str) -> None:
    line = refusal(lambda: configured(f"[source]\nproxy = {json.dumps(url)}"))

    assert "source.proxy: " in line
    assert "http://proxy.example:3128" in line
    assert "pa55" not in line
    assert VARIABLE in refusal(lambda: load(None, Environment({VARIABLE: url})))


@pytest.mark.parametrize("value", [f'["{URL}"]', f'{{ url = "{URL}" }}', "5"])
def test_a_value_of_another_type_is_refused_and_not_repeated(configured: Configured, value: str) -> None:
    line = refusal(lambda: configured(f"[source]\nproxy = {value}"))

    assert "source.proxy: must be a text" in line
    assert "pa55" not in line


def test_user_and_password_are_secrets_as_written_and_as_they_are() -> None:
    assert set(secrets_in(URL)) == {"carla:pa55%40w0rd", "carla:pa55@w0rd", "pa55%40w0rd", "pa55@w0rd"}
    assert list(secrets_in("http://proxy.example:3128")) == []
    assert list(secrets_in("http://a:b@proxy.example:3128")) == []


def test_what_is_logged_hides_them_wherever_they_are_set(configured: Configured) -> None:
    settings = configured(f'[source]\nproxy = "{URL}"')

    for redact in (redaction(Environment({}), settings.proxy), redaction(Environment({VARIABLE: URL}))):
        for secret in secrets_in(URL):
            assert redact(f"x {secret} y") == "x *** y"
