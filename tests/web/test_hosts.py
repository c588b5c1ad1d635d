"""Host check: names that only this machine can have are answered, all others are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.web.hosts import is_own_host


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "127.0.0.1:8080",
        "192.168.1.7",
        "[::1]:8080",
        "[fd00::7]",
        "daemon:8080",
        "raspberry.local",
        "raspberry.local.:8080",
        "metrics.internal",
        "pipeline.tools.svc:8080",
        "pipeline.tools.svc.cluster.local",
        "box.example.com",
    ],
)
def test_a_name_that_no_stranger_can_own_is_answered(host: str) -> None:
    assert is_own_host(host, {"box.example.com"})


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "example.com:8080",
        "box.example.com.evil.net",
        "127.0.0.1.nip.io",
        "127.0.0.1@evil.com",
        "evil.com#.local",
        "evil.com/.local",
        "evil.com?.internal",
        "evil.com:80:.local",
        "evil.com\\.svc",
        "local.evil.com",
        "evillocal.com",
        "[evil.com]",
        "[::1].evil.com",
        "localhost:80:80",
        "localhost:x",
        "localhost\n",
        "lok\u0430lhost.com",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    assert not is_own_host(host, {"box.example.com"})


@settings(max_examples=200)
@given(
    name=st.text("az09.@:[]/\\-", max_size=20),
    domain=st.sampled_from(["com", "io", "dev", "example", "localdomain", "svcs"]),
    port=st.sampled_from(["", ":8080", "."]),
)
def test_no_name_in_a_public_domain_is_answered(name: str, domain: str, port: str) -> None:
    assert not is_own_host(f"{name}.{domain}{port}", {"box"})
