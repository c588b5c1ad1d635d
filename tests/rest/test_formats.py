"""Formats: the ending of a path decides, else what the Accept header likes best."""

from pathlib import Path

import pytest

from pipeline.rest.formats import Format, accepted
from pipeline.web.refusals import Refusal
from tests.support.hard_record import hard_record
from tests.support.rest import API
from tests.support.site import served

ALL = (Format.JSON, Format.CSV, Format.PARQUET)
PARQUET = "application/vnd.apache.parquet"


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", Format.JSON),
        ("*/*", Format.JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.JSON),
        ("text/csv", Format.CSV),
        ("TEXT/CSV ; charset=utf-8", Format.CSV),
        ("text/*", Format.CSV),
        (f"application/*;q=0.5, {PARQUET}", Format.PARQUET),
        ("application/json;q=0.2, text/csv;q=0.3", Format.CSV),
        ("*/*, application/json;q=0", Format.CSV),
        ("text/csv;q=x, application/json;q=0.1", Format.JSON),
        ("nonsense", Format.JSON),
    ],
)
def test_the_format_that_is_liked_best_is_taken(header: str, form: Format) -> None:
    assert accepted(header, ALL) is form


@pytest.mark.parametrize("header", ["text/html", "application/json;q=0", "*/*;q=0", "text/csv;q=0.0"])
def test_what_is_not_to_be_had_is_refused_with_what_is(header: str) -> None:
    with pytest.raises(Refusal, match="text/csv") as refused:
        accepted(header, ALL)
    assert refused.value.status == 406


def test_without_pyarrow_parquet_names_the_command_that_installs_it() -> None:
    with pytest.raises(Refusal, match="pip install") as refused:
        accepted(PARQUET, (Format.JSON, Format.CSV))
    assert refused.value.status == 406


async def test_the_ending_of_a_path_comes_before_the_header() -> None:
    async with served(Path("none.db")) as client:
        for ending, media_type in (("json", "application/json"), ("csv", "text/csv"), ("parquet", PARQUET)):
            got = await client.get(f"{API}/fields.{ending}", Accept="text/html")
            assert (got.status, got.headers["Content-Type"].partition(";")[0]) == (200, media_type)
        assert (await client.get(f"{API}/fields", Accept="text/html")).status == 406


@pytest.fixture(name="hard")
def _hard() -> Path:
    return hard_record()


async def test_a_symbol_with_a_dot_is_no_format(hard: Path) -> None:
    async with served(hard) as client:
        plain, as_csv = await client.get(f"{API}/history/BF.B"), await client.get(f"{API}/history/BF.B.csv")
    assert plain.headers["Content-Type"] == "application/json"
    assert as_csv.text.splitlines()[1].startswith("BF.B,")


async def test_equal_questions_have_equal_bytes_and_head_has_none(hard: Path) -> None:
    async with served(hard) as client:
        for ending in ("json", "csv", "parquet"):
            path = f"{API}/as-of.{ending}?at=2026-03-15"
            first, second = await client.get(path), await client.get(path)
            assert (first.body, first.headers["ETag"]) == (second.body, second.headers["ETag"])
            async with client.session.head(f"{client.url}{path}") as head:
                assert (head.status, await head.read()) == (200, b"")
                assert head.headers["ETag"] == first.headers["ETag"]


async def test_csv_for_excel_has_a_byte_order_mark_and_follows_itself(hard: Path) -> None:
    async with served(hard) as client:
        for path in ("as-of", "as-of.csv"):
            plain = await client.get(f"{API}/{path}", Accept="text/csv")
            excel = await client.get(f"{API}/{path}?excel=true", Accept="text/html")
            assert excel.body == b"\xef\xbb\xbf" + plain.body
            assert excel.headers["Content-Type"] == plain.headers["Content-Type"]
        assert "excel=true" in (await client.get(f"{API}/as-of?excel=true&limit=1")).headers["Link"]
