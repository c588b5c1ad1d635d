"""Symbol files: one symbol per line or a LISTING_STATUS csv; duplicates and invalid rows get a notice."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.model.symbols import parse_symbol
from pipeline.settings.load import Settings
from tests.support.configurations import NO_VARIABLES, Configured, loaded_or_refused, refusal
from tests.support.recordings import RECORDINGS, needs_recordings


def test_a_duplicate_symbol_is_ignored_with_a_notice(configured: Configured) -> None:
    settings = configured('[symbols]\nlist = ["AAPL", "MSFT", "aapl", "AAPL"]')

    assert settings.symbols == ("AAPL", "MSFT")
    assert settings.notices == ("duplicate symbols ignored: AAPL",)


def test_a_symbol_of_the_list_is_a_duplicate_in_the_file(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("MSFT\nAAPL\n")

    settings = configured('[symbols]\nlist = ["AAPL"]\nfile = "names.txt"')

    assert settings.symbols == ("AAPL", "MSFT")
    assert settings.notices == ("duplicate symbols ignored: AAPL",)


def test_the_notice_of_many_duplicates_is_short(configured: Configured) -> None:
    names = [f"A{number}" for number in range(10)] * 2

    (notice,) = configured(f"[symbols]\nlist = {json.dumps(names)}").notices

    assert notice.endswith("A0, A1, A2, A3, A4, A5, A6, A7 and 2 more")


def test_symbols_of_the_list_are_read_as_other_programs_write_them_with_a_notice(configured: Configured) -> None:
    settings = configured('[symbols]\nlist = ["NASDAQ:AAPL", "Symbol", "BRK.B", "M&M.BSE"]')

    assert settings.symbols == ("AAPL", "SYMBOL", "BRK.B", "M&M.BSE")
    assert settings.notices == (
        "exchange left out, as the API does for the USA: AAPL for NASDAQ:AAPL",
        "class shares are requested as the API writes them: BRK-B for BRK.B",
    )


def test_one_company_under_two_symbols_is_kept_and_noticed(configured: Configured) -> None:
    settings = configured('[symbols]\nlist = ["BRK-B", "BRK.B"]')

    assert settings.symbols == ("BRK-B", "BRK.B")
    assert settings.notices[-1] == "one company, requested twice: BRK.B and BRK-B"


@pytest.fixture
def filed(tmp_path: Path, configured: Configured) -> Callable[[bytes], Settings]:
    """Load a configuration whose symbols are in a file with these bytes."""

    def read(content: bytes) -> Settings:
        (tmp_path / "names.txt").write_bytes(content)
        return configured('[symbols]\nfile = "names.txt"')

    return read


def test_a_symbol_file_has_one_symbol_per_line_and_comments(filed: Callable[[bytes], Settings]) -> None:
    assert filed(b"# mine\nAAPL\n\n  msft  # the other one\nPEP").symbols == ("AAPL", "MSFT", "PEP")


def test_a_symbol_file_with_a_header_is_read_with_a_notice(filed: Callable[[bytes], Settings], tmp_path: Path) -> None:
    settings = filed(b"Symbol\nMMM\nAAPL\n")

    assert settings.symbols == ("MMM", "AAPL")
    assert settings.notices[0].startswith(f"{tmp_path / 'names.txt'}: line 1 (Symbol) is taken for a header")


def test_what_is_not_understood_is_refused_with_file_lines_and_remedy(filed: Callable[[bytes], Settings]) -> None:
    line = refusal(lambda: filed(b"AAPL;NASDAQ\nIBM;NYSE\n"))

    assert "symbols.file: " in line
    assert "names.txt: lines 1, 2: several columns" in line
    assert "symbol,name" in line


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_symbol_file_in_utf_16_is_refused_with_what_to_do(filed: Callable[[bytes], Settings], encoding: str) -> None:
    assert "names.txt: the text is in UTF-16; save it as UTF-8" in refusal(lambda: filed("AAPL\n".encode(encoding)))


def test_a_workbook_is_refused_with_what_to_do(filed: Callable[[bytes], Settings]) -> None:
    assert "Excel calls it CSV UTF-8" in refusal(lambda: filed(b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xfe"))


def test_a_symbol_file_may_come_from_windows(filed: Callable[[bytes], Settings]) -> None:
    assert filed(b"\xef\xbb\xbfAAPL\r\nMSFT\r\n").symbols == ("AAPL", "MSFT")


@pytest.mark.parametrize("bad", [b"A B", b"../x", b"A\x1bB", b"A\x0bB", b"A,B", b"\xc3\x84PPL"])
def test_an_invalid_line_of_a_symbol_file_is_named_by_its_number(
    filed: Callable[[bytes], Settings], bad: bytes
) -> None:
    line = refusal(lambda: filed(b"AAPL\n# fine\n" + bad + b"\nMSFT\n"))

    assert "names.txt: line 3: " in line
    assert line.isprintable()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", b"symbol,name,status\n"])
def test_a_symbol_file_without_symbols_is_refused(filed: Callable[[bytes], Settings], content: bytes) -> None:
    line = refusal(lambda: filed(content))

    assert "names.txt contains no symbols" in line
    assert "LISTING_STATUS" in line


def test_a_symbol_file_that_is_missing_is_refused(configured: Configured) -> None:
    line = refusal(lambda: configured('[symbols]\nfile = "names.txt"'))

    assert "symbols.file: " in line
    assert "names.txt cannot be read (no such file or directory)" in line


def test_a_symbol_file_that_is_a_folder_is_refused(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "names.txt").mkdir()

    assert "cannot be read (is a directory)" in refusal(lambda: configured('[symbols]\nfile = "names.txt"'))


def test_a_symbol_file_that_is_not_utf_8_is_refused(filed: Callable[[bytes], Settings]) -> None:
    assert "cannot be read (not UTF-8)" in refusal(lambda: filed(b"A\xffPL"))


LISTING = (
    b"symbol,name,exchange,assetType,ipoDate,delistingDate,status\r\n"
    b"A,Agilent Technologies Inc,NYSE,Stock,1999-11-18,null,Active\r\n"
    b'BRK-B,"Berkshire, B",NYSE,Stock,1996-05-09,null,Active\r\n'
    b"AAA,Some Fund,NYSE ARCA,ETF,2020-09-09,null,Active\r\n"
    b"OLD,Gone Inc,NYSE,Stock,1990-01-01,2020-01-01,Delisted\r\n"
    b"NYCB- PR-U,Unpronounceable,NYSE,Stock,2002-11-04,null,Active\r\n"
)


def test_the_active_stocks_of_a_listing_are_taken_with_a_notice(filed: Callable[[bytes], Settings]) -> None:
    settings = filed(LISTING)

    assert settings.symbols == ("A", "BRK-B")
    assert settings.notices[0].endswith("names.txt: 2 active stocks taken from the csv")


def test_an_invalid_symbol_of_a_listing_is_ignored_with_a_notice(filed: Callable[[bytes], Settings]) -> None:
    assert filed(LISTING).notices[1].endswith("names.txt: invalid symbols ignored: 'NYCB- PR-U'")


def test_a_listing_without_an_active_stock_is_refused(filed: Callable[[bytes], Settings]) -> None:
    assert "contains no symbols" in refusal(lambda: filed(LISTING.replace(b"Active", b"Delisted")))


@needs_recordings
def test_a_recorded_listing_of_the_api_is_accepted(configured: Configured) -> None:
    listing = RECORDINGS / "listing_status_active.csv"

    settings = configured(f'[symbols]\nfile = "{listing}"')

    assert len(settings.symbols) > 8_000
    assert {"A", "BRK-B", "-P-HIZ"} <= set(settings.symbols)
    assert f"{len(settings.symbols):,} active stocks taken" in settings.notices[0]


@given(
    text=st.one_of(
        st.text(st.characters(codec="utf-8"), max_size=60),
        st.text(st.characters(codec="utf-8"), max_size=60).map(lambda rest: f"symbol,assetType,status\n{rest}"),
        st.lists(st.sampled_from(["A", "b", "# x", "BRK.B", ""])).map("\n".join),
    )
)
@example(text='symbol,assetType,status\n"A')
@example(text="symbol,assetType,status\nA,Stock,Active,more,still more")
@example(text="symbol,assetType,status\n" + "A" * 140_000)
@example(text="SYMBOL,ASSETTYPE,STATUS\nA,Stock,Active")
@example(text="symbol,\0")
def test_any_symbol_file_is_accepted_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.txt").write_text(text, encoding="utf-8", newline="")
    (folder / "any-file.toml").write_text('[symbols]\nfile = "any.txt"')

    taken = loaded_or_refused(folder / "any-file.toml", NO_VARIABLES)

    if isinstance(taken, str):
        assert taken.isprintable()
    else:
        assert taken.symbols
        assert list(taken.symbols) == [parse_symbol(symbol) for symbol in dict.fromkeys(taken.symbols)]
