"""Websites: a link leads only where its text says, and runs nothing."""

import pytest

from pipeline.pages.websites import website


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://www.ibm.com", "ibm.com"),
        ("http://investors.example.co.uk/a?b=c#d", "investors.example.co.uk"),
        ("https://ibm.com:8443/", "ibm.com:8443"),
        ("HTTPS://IBM.COM", "ibm.com"),
    ],
)
def test_an_http_address_is_a_link_that_shows_its_host(address: str, host: str) -> None:
    found = website(address)
    assert found is not None
    assert (found.address, found.host) == (address, host)


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,<script>", "vbscript:x", "file:///etc/passwd",
     "//evil.example", "www.ibm.com", "https://", "https://ibm.com@evil.example/", "https://:pw@evil.example/",
     "https://evil.example\\@ibm.com", "https://ibm.com\n.evil.example", "https://[", "https://ibm.com:port/",
     "https://ibm\u202e.com", "java\tscript:alert(1)", "https://ibm.com /", "", None, 7],
)  # fmt: skip
def test_nothing_else_is_a_link(address: object) -> None:
    assert website(address) is None
