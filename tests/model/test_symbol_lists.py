"""Symbol lists: in each way to write one, every symbol is taken, or the list is refused whole with the lines named."""

import csv
from collections.abc import Callable
from io import StringIO

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline.model.symbol_lists import NotAList, read_symbol_list
from pipeline.model.symbol_spellings import read_symbol

TWO = ("AAPL", "MSFT")


def taken(text: str) -> tuple[str, ...]:
    return read_symbol_list(text).symbols


def refusal(text: str) -> str:
    with pytest.raises(NotAList) as refused:
        read_symbol_list(text)
    return str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "AAPL\nMSFT\n",
        "\n# mine\n  aapl # the first, a symbol\n\nmsft",
        "AAPL, MSFT",
        "aapl;msft;",
        "AAPL\tMSFT\n# that is all",
        '"AAPL"\n"MSFT"\n',
        "'AAPL'\n'MSFT\n",
        '="AAPL"\n="MSFT"\n',
        "AAPL,\nMSFT,\n",
        ";AAPL\n;MSFT\n",
        "Symbol\nAAPL\nMSFT\n",
        "ticker\nAAPL\nMSFT\n",
        '"Ticker Symbol"\nAAPL\nMSFT\n',
        "symbol,name\nAAPL,Apple\nMSFT,Microsoft\n",
        'Name;Symbol\n"Apple; Inc";AAPL\nMicrosoft;MSFT\n',
        "Name\tTicker\tQty\nApple\tAAPL\t1\nMicrosoft\tMSFT\t2\n",
        "Qty,ACT Symbol,Name\n1,AAPL,x\n2,MSFT,y\n",
        "#,Symbol\n1,AAPL\n2,MSFT\n",
        "sep=;\nSymbol;Qty\nAAPL;1\nMSFT;2\n",
        "Symbol|Security Name|NASDAQ Symbol\nAAPL|x|AAPL\nMSFT|y|MSFT\n",
        '"Positions for account 1 as of 14 March, 2026"\n\n"Name","Symbol","Qty"\n"Apple","AAPL","1"\n"M","MSFT","2"\n',
        'Name,Symbol\n"Apple\nInc",AAPL\nMicrosoft,MSFT\n',
        "# exported\nSymbol,Name\n# the first\nAAPL,Apple #1\nMSFT,x\n",
    ],
)
def test_a_list_is_read_as_people_and_programs_write_it(text: str) -> None:
    assert taken(text) == TWO


@pytest.mark.parametrize("word", ["SYMBOL", "Ticker", "stock", "CODE"])
def test_a_header_is_one_in_the_first_line_only(word: str) -> None:
    """So a symbol of that name goes on any other line."""
    read = read_symbol_list(f"{word}\nAAPL\n")

    assert read.symbols == ("AAPL",)
    assert f"line 1 ({word}) is taken for a header" in read.notes[0]
    assert taken(f"AAPL\n{word}\n") == ("AAPL", word.upper())
    assert taken(f"{word}\n{word}\n") == (word.upper(),)


def test_notes_say_what_was_changed_and_left_out() -> None:
    read = read_symbol_list("My account\n\nSymbol,Name\nNASDAQ:AAPL,x\nBRK.B,y\n,cash\n")

    assert read.symbols == ("AAPL", "BRK.B")
    assert read.notes == (
        "2 symbols taken from the column Symbol",
        "line 1 left out: before the header",
        "line 6 left out: no symbol in the column Symbol",
        "exchange left out, as the API does for the USA: AAPL for NASDAQ:AAPL",
        "class shares are requested as the API writes them: BRK-B for BRK.B",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AAPL\nA B\n", ["line 2: invalid symbol 'A B'"]),
        ("A B\nAAPL\nC D\nE F\nG H\nI J\nK L\n", ["line 1: ", "lines 3, 4, 5, 6 and 1 more"]),
        ("AAPL,NASDAQ\nIBM,NYSE\n", ["lines 1, 2: several columns", "no header"]),
        ("AAPL\nA,B\nMSFT\n", ["line 2: several columns"]),
        ("AAPL,NASDAQ", ["line 1: several columns"]),
        ("AAPL,10", ["line 1: several columns"]),
        ("AAPL,MSFT\nTICKER,IBM\n", ["lines 1, 2: several columns"]),
        ("KO\nAAPL,MSFT\nTICKER,IBM\n", ["lines 2, 3: several columns"]),
        ("Name,Symbol\nApple,AAPL\nBerkshire,BRK B\n", ["line 3: invalid symbol 'BRK B'"]),
        ("Name,Symbol\nApple,AAPL\nx,Account Total\n", ["line 3: invalid symbol 'Account Total'"]),
        ("Symbol,Qty\nAAPL,1\nTotal:,1\n", ["line 3: a total"]),
        ("Symbol,Ticker\nAAPL,AAPL\n", ["line 1: several columns may have the symbols: Symbol, Ticker"]),
        ("Name,Symbol/ISIN\nApple,US0378331005\n", ["line 2: ", "ISIN"]),
        ("AAPL MSFT", ["line 1: invalid symbol 'AAPL MSFT'"]),
        ("AAPL,Apple,NASDAQ,Stock\nIBM,IBM,NYSE,Stock\n", ["lines 1, 2: several columns"]),
        ("AAPL,Stock\nSPY,ETF\n", ["lines 1, 2: several columns"]),
        ("Symbol: AAPL\nMSFT\n", ["line 1: invalid symbol 'Symbol: AAPL'"]),
        ("My tickers: AAPL, MSFT\nIBM, F\n", ["lines 1, 2: several columns"]),
        ('Symbol,Name\nAAPL,"Apple\nMSFT,Microsoft\nIBM,IBM\n', ["line 4: invalid csv"]),
        ('Symbol,Name\nAAPL,"Apple\nMSFT,"Microsoft"\nIBM,IBM\n', ["line 3: invalid csv"]),
        (f"Name,Symbol\n{'x' * 140_000},AAPL\n", ["line 2: invalid csv"]),
    ],
)
def test_what_is_not_understood_is_refused_with_its_lines(text: str, words: list[str]) -> None:
    line = refusal(text)

    for word in words:
        assert word in line
    assert "\n" not in line


SYMBOLS = st.from_regex(r"[A-Z]{1,5}([-.][A-Z]{1,3})?|[A-Z]&[A-Z]\.BSE", fullmatch=True)
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=12)
OTHER_WORDS = {"STOCK", "CODE", "CODES", "TOTAL", "SUM", "SUMME", "NYSE", "AMEX"}
HEADERS = ["Symbol", "TICKER", "symbols", "Ticker Symbol"]
SPELLINGS: list[Callable[[str], str]] = [
    str,
    str.lower,
    "NASDAQ:{}".format,
    "nyse:{}".format,
    "{}.US".format,
    "${}".format,
]


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A list as somebody could write it, and the cells that should be symbols."""
    symbols = draw(st.lists(SYMBOLS, min_size=1, max_size=6))
    assume(not OTHER_WORDS & set(symbols))
    cells = [draw(st.sampled_from(SPELLINGS))(symbol) for symbol in symbols]
    header, delimiter = draw(st.sampled_from(HEADERS)), draw(st.sampled_from("\t;,|"))
    match draw(st.sampled_from(["lines", "headed lines", "one line", "table"])):
        case "lines":
            return "\n".join(cells), cells
        case "headed lines":
            return "\n".join([header, *cells]), cells
        case "one line":
            return f"{delimiter} ".join(cells), cells
    table = StringIO()
    dialect = draw(st.sampled_from(["excel", "unix"]))  # quoted where needed, and always
    writer = csv.writer(table, dialect, delimiter=delimiter, lineterminator="\n")
    turned = draw(st.sampled_from([1, -1]))
    writer.writerows(row[::turned] for row in [[header, "Name"], *([cell, draw(NAMES)] for cell in cells)])
    return table.getvalue(), cells


@given(written())
def test_every_symbol_of_a_list_comes_back_in_each_way_to_write_it(pair: tuple[str, list[str]]) -> None:
    text, cells = pair

    assert taken(text) == tuple(read_symbol(cell).symbol for cell in cells)


LINE = st.lists(st.sampled_from([*"AB.:-,;\t\"'#$= 1", "Symbol", "NYSE:", "Total"]), max_size=8).map("".join)


@given(st.lists(LINE, max_size=5).map("\n".join) | st.text())
@example("Symbol,\0\n")
@example('Symbol,Name\n"A')
@example("=" * 10_000)
@example("'" * 10_000)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = read_symbol_list(text)
    except NotAList:
        return
    assert all(read_symbol(symbol).symbol for symbol in read.symbols)


_PLAIN = st.lists(st.sampled_from([*"AB.:-#$ 1", "NYSE:", "Total"]), max_size=8).map("".join)


@given(st.lists(_PLAIN, min_size=1, max_size=4))
def test_no_line_is_passed_over_without_a_note(lines: list[str]) -> None:
    """A line without a header above it gives a symbol, or is blank or a comment, or the list is refused."""
    try:
        read = read_symbol_list("\n".join(lines))
    except NotAList:
        return
    assert len(read.symbols) == len([line for line in lines if line.partition("#")[0].strip()])


@pytest.mark.parametrize("title", ["Account export;29.11.2026;;", "Account;Depot 123;;", "Account export;;;"])
def test_a_title_padded_to_the_tables_width_is_no_row(title: str) -> None:
    read = read_symbol_list(f"{title}\nTicker;Name;Quantity;Value\nAAPL;Apple Inc.;10;2.310,50\nIBM;IBM;1;2\n")

    assert read.symbols == ("AAPL", "IBM")
