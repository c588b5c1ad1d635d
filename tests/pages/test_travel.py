"""Travel: the control of the date leads to the same page at another instant, and never to another site."""

from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.pages.frame import without_later
from pipeline.pages.travel import own_path
from tests.support.observations import after

_PARTS = st.sampled_from(
    ["/", "\\", "//", "evil.com", "http:", "https://evil.com", "javascript:alert(1)", "as-of/", "now", "%2f", "%5c"]
    + ["\t", "\n", "\r", " ", "@", ":", "?", "#", ".", "..", "companies", "q=1", "é", "\x00", "[", "]"]
)


@given(st.lists(_PARTS, max_size=8).map("".join))
@example("//evil.com")
@example("/\\evil.com")
@example("/\t/evil.com")
@example("/as-of/2026-01-01//evil.com")
def test_a_path_never_leaves_the_site(text: str) -> None:
    path = own_path(text)
    here = "http://record.example:8080/companies"
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\", "/as-of/"))
    assert urlsplit(urljoin(here, path)).netloc == "record.example:8080"
    assert path.isascii()
    assert path.isprintable()


@pytest.mark.parametrize(
    "path",
    ["/", "/companies", "/companies/BRK.B", "/companies?q=a%20b&columns=pe_ratio,eps", "/companies/FB@2025-07-01",
     f"/companies?sector={quote('REAL ESTATE & CONSTRUCTION')}", "/changes?symbol=A&symbol=B"],
)  # fmt: skip
def test_a_path_of_the_site_stays_as_it_is(path: str) -> None:
    assert own_path(path) == path


def test_an_instant_in_a_path_is_taken_out_of_it() -> None:
    assert own_path("/as-of/2026-03-14/companies?q=a") == "/companies?q=a"
    assert own_path("/as-of/2026-03-14") == "/"


def test_a_path_under_a_thousand_instants_is_the_path_without_them() -> None:
    assert own_path("/as-of/x" * 2_000 + "/companies") == "/companies"


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("/changes?since=2026-03-10&until=2026-03-20&symbol=A%2BB", "/changes?since=2026-03-10&symbol=A%2BB"),
        ("/changes?since=2026-03-20&until=2026-03-21", "/changes"),
        ("/changes?since=7d&until=2026-03-14&x=%20", "/changes?since=7d&until=2026-03-14&x=%20"),
        ("/compare?symbol=A&a=2026-03-01&b=2026-03-20", "/compare?symbol=A&a=2026-03-01"),
        ("/companies/A/document?version=2026-03-20T18:30:00.000Z", "/companies/A/document"),
        ("/companies?q=2026-03-20&sort=symbol", "/companies?q=2026-03-20&sort=symbol"),
        ("/changes?since=&until=soon", "/changes?since=&until=soon"),
    ],
)
def test_an_address_leaves_out_what_is_later_on_the_day_that_it_leads_to(address: str, kept: str) -> None:
    assert without_later(address, after(0)) == kept
