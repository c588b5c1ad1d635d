"""Addresses: URLs that are safe for a secret, and addresses to listen on."""

import json

import pytest

from pipeline.settings.addresses import Listen
from tests.support.configurations import Configured, refusal


@pytest.mark.parametrize(
    "url",
    [
        "https://www.alphavantage.co/query",
        "http://127.0.0.1:8321/query",
        "http://127.8.8.8/query",
        "http://localhost:8321/query",
        "http://[::1]:8321/query",
    ],
)
def test_https_is_accepted_and_http_on_loopback(configured: Configured, url: str) -> None:
    assert configured(f'[source]\nbase_url = "{url}"').base_url == url


@pytest.mark.parametrize(
    "url", ["http://www.alphavantage.co/query", "http://localhost.example.com/", "http://10.0.0.1/", "http://0.0.0.0/"]
)
def test_http_to_another_machine_is_refused(configured: Configured, url: str) -> None:
    line = refusal(lambda: configured(f'[source]\nbase_url = "{url}"'))

    assert "source.base_url: " in line
    assert "https" in line


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alphavantage",
        "https://",
        "ftp://alphavantage.co",
        "https://user@alphavantage.co/",
        "https://:password@alphavantage.co/",
        "https://@alphavantage.co/",
        "http://127.0.0.1@alphavantage.co/",
        "http://127.0.0.1\\\\@alphavantage.co/",
        "https://alphavantage.co/?apikey=x",
        "https://alphavantage.co/#x",
        "https://alpha vantage.co/",
        "https://alphavantage.co/\\n",
        "https://alphavantage.co:99999/",
        "https://[::1",
    ],
)
def test_an_invalid_url_or_one_with_user_query_or_fragment_is_refused(configured: Configured, url: str) -> None:
    assert "source.base_url: " in refusal(lambda: configured(f'[source]\nbase_url = "{url}"'))


@pytest.mark.parametrize(
    "url", ["example", "https://user@example.com", "http://www.example.com", "https://a.example/?q"]
)
def test_a_bad_time_url_is_refused_with_an_example_of_its_own(configured: Configured, url: str) -> None:
    line = refusal(lambda: configured(f'[source]\ntime_url = "{url}"'))

    assert "source.time_url: " in line
    assert "alphavantage" not in line
    assert "secret" not in line
    assert ("https" if url.startswith("http:") else "such as https://www.example.com") in line


def test_an_empty_time_url_is_none(configured: Configured) -> None:
    assert configured('[source]\ntime_url = ""').time_url is None


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:8080", "::1", 8080),
        ("localhost:8080", "localhost", 8080),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("[::]:0", "::", 0),
    ],
)
def test_an_ip_address_or_localhost_and_a_port_are_accepted(
    configured: Configured, text: str, host: str, port: int
) -> None:
    listen = configured(f'[status]\nlisten = "{text}"').listen

    assert listen == Listen(host, port)
    assert str(listen) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "a.be:80",
        "::1:8080", "[::1]", "[127.0.0.1]:80", "256.0.0.1:80", "1.2.3:80", "http://127.0.0.1:80", "127.0.0.1:80/",
        "127.0.0.1:8\u0660", "[localhost]:80", " 127.0.0.1:80", "[fe80::1%eth0]:80", "127.0.0.1:80\n",
    ],
)  # fmt: skip
def test_any_other_address_is_refused_with_examples(configured: Configured, text: str) -> None:
    line = refusal(lambda: configured(f"[status]\nlisten = {json.dumps(text)}"))

    assert "status.listen: " in line
    assert 'such as "127.0.0.1:8080" or "[::1]:8080"' in line


def test_names_by_which_the_daemon_may_be_called_are_accepted_in_any_case(configured: Configured) -> None:
    settings = configured(
        '[status]\nallowed_hosts = ["NAS.lan", "pipeline.example.com.", "a_b-c.xn--bcher-kva.example"]'
    )

    assert settings.allowed_hosts == {"nas.lan", "pipeline.example.com", "a_b-c.xn--bcher-kva.example"}


@pytest.mark.parametrize(
    "name",
    ["", ".", "*", "*.lan", ".lan", "nas..lan", "nas.lan:8080", "http://nas.lan", "nas.lan/", "-nas.lan", "n as.lan",
     "bücher.example", "nas.lan\n", "a" * 64 + ".lan", ".".join(["a" * 60] * 5)],
)  # fmt: skip
def test_what_is_not_a_host_name_is_refused_with_an_example(configured: Configured, name: str) -> None:
    line = refusal(lambda: configured(f"[status]\nallowed_hosts = [{json.dumps(name)}]"))

    assert "status.allowed_hosts: " in line
    assert 'such as "nas.lan"' in line
