"""Overviews: the field catalogue, symbols, and a document shredded into typed parts and put together again.

The API sends one flat JSON object for a company, nearly every value a string. Its fields change at three speeds, so a
document is kept as three parts (who the company is, what it reported, what follows the price) plus a layout (which
keys, in which order) and `extra`: whatever the typed columns alone could not give back to the letter.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Literal, NewType

import msgspec

Symbol = NewType("Symbol", str)
Document = dict[str, Any]
"""An overview as received: a JSON object, keys in the order they came."""

Value = str | int | float | None
"""What a column holds; None where the API says that it has no value."""


class Kind(StrEnum):
    """What a column holds, and so how a received spelling is read."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    DATE = "date"


ColumnKind = Kind | Literal["instant", "json", "boolean"]
"""What a column of an answer holds: besides the fields' kinds, ISO-8601 instants, and values that vary in kind."""


class Part(StrEnum):
    """How fast a field moves, measured on 3,663 pairs of consecutive real snapshots."""

    PROFILE = "profile"
    REPORTED = "reported"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the document: the API's name for it, and ours."""

    name: str
    column: str
    kind: Kind
    part: Part
    unit: str
    missing: str = "None"
    """How the API usually spells "no value" in this field."""


def _profile(name: str, column: str, missing: str = "None") -> Field:
    return Field(name, column, Kind.TEXT, Part.PROFILE, "", missing)


def _reported(name: str, column: str, kind: Kind, unit: str, missing: str = "None") -> Field:
    return Field(name, column, kind, Part.REPORTED, unit, missing)


def _daily(name: str, column: str, unit: str, missing: str = "None", kind: Kind = Kind.REAL) -> Field:
    return Field(name, column, kind, Part.DAILY, unit, missing)


_REPORTED_MONEY = "reporting currency"
"""Currency says USD for every company, yet these are in the issuer's own: do not compare across companies."""

CATALOGUE: tuple[Field, ...] = (
    _profile("Symbol", "symbol"),
    _profile("AssetType", "asset_type"),
    _profile("Name", "name"),
    _profile("Description", "description"),
    _profile("CIK", "cik"),
    _profile("Exchange", "exchange"),
    _profile("Currency", "currency"),
    _profile("Country", "country"),
    _profile("Sector", "sector"),
    _profile("Industry", "industry"),
    _profile("Address", "address", missing="NONE"),
    _profile("OfficialSite", "official_site"),
    _profile("FiscalYearEnd", "fiscal_year_end"),
    _reported("LatestQuarter", "latest_quarter", Kind.DATE, "date"),
    _daily("MarketCapitalization", "market_capitalization", "USD", kind=Kind.INTEGER),
    _reported("EBITDA", "ebitda", Kind.INTEGER, _REPORTED_MONEY),
    _daily("PERatio", "pe_ratio", "ratio"),
    _daily("PEGRatio", "peg_ratio", "ratio"),
    _reported("BookValue", "book_value", Kind.REAL, f"{_REPORTED_MONEY} per share"),
    _reported("DividendPerShare", "dividend_per_share", Kind.REAL, "USD per share"),
    _daily("DividendYield", "dividend_yield", "fraction"),
    _daily("EPS", "eps", "USD per share"),
    _reported("RevenuePerShareTTM", "revenue_per_share_ttm", Kind.REAL, f"{_REPORTED_MONEY} per share"),
    _reported("ProfitMargin", "profit_margin", Kind.REAL, "fraction"),
    _reported("OperatingMarginTTM", "operating_margin_ttm", Kind.REAL, "fraction"),
    _reported("ReturnOnAssetsTTM", "return_on_assets_ttm", Kind.REAL, "fraction"),
    _daily("ReturnOnEquityTTM", "return_on_equity_ttm", "fraction"),
    _reported("RevenueTTM", "revenue_ttm", Kind.INTEGER, _REPORTED_MONEY),
    _reported("GrossProfitTTM", "gross_profit_ttm", Kind.INTEGER, _REPORTED_MONEY),
    _daily("DilutedEPSTTM", "diluted_eps_ttm", "USD per share"),
    _reported("QuarterlyEarningsGrowthYOY", "quarterly_earnings_growth_yoy", Kind.REAL, "fraction"),
    _reported("QuarterlyRevenueGrowthYOY", "quarterly_revenue_growth_yoy", Kind.REAL, "fraction"),
    _daily("AnalystTargetPrice", "analyst_target_price", "USD per share"),
    _reported("AnalystRatingStrongBuy", "analyst_rating_strong_buy", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingBuy", "analyst_rating_buy", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingHold", "analyst_rating_hold", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingSell", "analyst_rating_sell", Kind.INTEGER, "analysts", "-"),
    _reported("AnalystRatingStrongSell", "analyst_rating_strong_sell", Kind.INTEGER, "analysts", "-"),
    _daily("TrailingPE", "trailing_pe", "ratio", "-"),
    _daily("ForwardPE", "forward_pe", "ratio", "-"),
    _daily("PriceToSalesRatioTTM", "price_to_sales_ratio_ttm", "ratio", "-"),
    _daily("PriceToBookRatio", "price_to_book_ratio", "ratio", "-"),
    _daily("EVToRevenue", "ev_to_revenue", "ratio", "-"),
    _daily("EVToEBITDA", "ev_to_ebitda", "ratio", "-"),
    _daily("Beta", "beta", "ratio"),
    _daily("52WeekHigh", "week_52_high", "USD per share"),
    _daily("52WeekLow", "week_52_low", "USD per share"),
    _daily("50DayMovingAverage", "day_50_moving_average", "USD per share"),
    _daily("200DayMovingAverage", "day_200_moving_average", "USD per share"),
    _reported("SharesOutstanding", "shares_outstanding", Kind.INTEGER, "shares"),
    _reported("SharesFloat", "shares_float", Kind.INTEGER, "shares"),
    _reported("PercentInsiders", "percent_insiders", Kind.REAL, "percent points"),
    _reported("PercentInstitutions", "percent_institutions", Kind.REAL, "percent points"),
    _reported("DividendDate", "dividend_date", Kind.DATE, "date"),
    _reported("ExDividendDate", "ex_dividend_date", Kind.DATE, "date"),
)
"""The 55 fields the API has sent since mid 2025, in its order. Those it dropped before, and new ones, go to `extra`."""

SYMBOL_FIELD = CATALOGUE[0]
PROFILE_FIELDS = tuple(f for f in CATALOGUE if f.part is Part.PROFILE and f is not SYMBOL_FIELD)
REPORTED_FIELDS = tuple(f for f in CATALOGUE if f.part is Part.REPORTED)
DAILY_FIELDS = tuple(f for f in CATALOGUE if f.part is Part.DAILY)
FIELDS = {field.name: field for field in CATALOGUE}
COLUMNS = {field.column: field for field in CATALOGUE}
FISCAL_FIELDS = tuple(
    COLUMNS[column]
    for column in (
        "revenue_ttm", "gross_profit_ttm", "ebitda", "profit_margin", "operating_margin_ttm", "return_on_assets_ttm",
        "book_value", "revenue_per_share_ttm", "quarterly_earnings_growth_yoy", "quarterly_revenue_growth_yoy",
    )
)  # fmt: skip
"""Read off the statements of a quarter, which a company may restate; the other reported ones are not its to restate."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A document that the API gave as the overview of `symbol`."""

    symbol: Symbol
    document: Document


@dataclass(frozen=True, slots=True)
class Parts:
    """A document in columns. `extra` is JSON text, sorted by key, or None where the columns say all."""

    profile: tuple[Value, ...]
    reported: tuple[Value, ...]
    daily: tuple[Value, ...]
    layout: tuple[str, ...]
    extra: str | None


# Symbols


_SYMBOL = re.compile(r"-?[A-Z0-9]+(?:[-.:/][A-Z0-9]+)*(?:\([A-Z0-9]+\))?")
"""What LISTING_STATUS lists: BRK-B, XXX-P-A, AGZ:BAT, BC/PB, and in one case -P-HIZ or NXT(EXP20091224)."""
_LONGEST_SYMBOL = 32


def parse_symbol(text: str) -> Symbol:
    """Return the text as a symbol, in upper case. Raise ValueError, saying why, for what cannot be one."""
    upper = text.upper() if text.isascii() else text
    if len(upper) > _LONGEST_SYMBOL or _SYMBOL.fullmatch(upper) is None:
        raise ValueError(f"{text[:40]!r} is no symbol: letters and digits, joined by - . : or / (BRK-B)")
    return Symbol(upper)


def same_company(asked: str, answered: object) -> bool:
    """Whether an answer's Symbol names the company asked for. This is the one place where that is decided.

    Class shares are listed with a dot and answered with a hyphen (BRK.B, BRK-B): the same company.
    """
    return (
        isinstance(answered, str)
        and answered.isascii()
        and answered.upper().replace(".", "-") == asked.replace(".", "-")
    )


# Values


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MISSING = frozenset({"None", "-"})
_SENTINEL = {"ReturnOnEquityTTM": "-99999.99"}
"""What the API writes for a return on equity that it lacks, besides its words for missing."""
_SMALLEST, _LARGEST = -(2**63) + 1, 2**63 - 1  # of one less, SQLite's abs() fails
_DIGITS = 19
"""What an INTEGER of SQLite holds."""


def read(field: Field, received: object) -> Value:
    """Return the column's value of what was received.

    None for "no value", and for what the column's type cannot hold.
    """
    if isinstance(received, str):
        if _is_missing(field, received):
            return None
        return _READ[field.kind](received)
    if isinstance(received, (int, float)) and not isinstance(received, bool):
        return _READ[field.kind](repr(received)) if field.kind in (Kind.INTEGER, Kind.REAL) else None
    return None


def legible(field: Field, received: object) -> bool:
    """Whether a received value is one the catalogue expects: a value of the field's type, or "no value"."""
    if isinstance(received, str) and _is_missing(field, received):
        return True
    return read(field, received) is not None


def _is_missing(field: Field, received: str) -> bool:
    return received in _MISSING or received in (field.missing, _SENTINEL.get(field.name))


def write(field: Field, value: Value) -> str:
    """Return the value as the API usually spells it: plain decimals, no trailing ".0", its own word for missing."""
    if value is None:
        return field.missing
    if isinstance(value, float):
        spelling = repr(value)
        if "e" in spelling:
            spelling = _without_exponent(spelling)
        return spelling.removesuffix(".0")
    return str(value)


def _without_exponent(spelling: str) -> str:
    digits, _, exponent = spelling.partition("e")
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent)
    digits = (whole + fraction).ljust(point, "0")
    return f"{sign}{digits[:point]}" if point > 0 else f"{sign}0.{'0' * -point}{digits}"


def _text(received: str) -> Value:
    return received


def _integer(received: str) -> Value:
    if _NUMBER.fullmatch(received) is None:
        return None
    number = Decimal(received)
    if number.adjusted() > _DIGITS or number != number.to_integral_value():
        return None
    return int(number) if _SMALLEST <= number <= _LARGEST else None


def _real(received: str) -> Value:
    if _NUMBER.fullmatch(received) is None:
        return None  # float() alone would take 'nan', 'infinity', '1_000' and other scripts' digits
    number = float(received)
    return number + 0.0 if abs(number) != float("inf") else None  # SQLite keeps no negative zero


def _date(received: str) -> Value:
    if _DATE.fullmatch(received) is None:
        return None
    try:
        date.fromisoformat(received)
    except ValueError:
        return None
    return received


_READ: dict[Kind, Callable[[str], Value]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.REAL: _real,
    Kind.DATE: _date,
}


# The usual spellings, which nearly every document has throughout: told by one regular expression for a part, at a
# third of the cost of looking at each value. What it does not match goes the long way round, through read and write.

_BETWEEN = "\x1f"
_USUAL = {
    Kind.TEXT: rf"[^{_BETWEEN}]*",
    Kind.INTEGER: r"(?:0|-?[1-9][0-9]{0,17})",
    # 15 digits at most, which a float gives back as they were; no "-0", and no zero at the end of a fraction.
    Kind.REAL: r"(?:0|-?(?:[1-9][0-9]{0,8}|0(?=\.))(?:\.[0-9]{0,5}[1-9])?)",
    Kind.DATE: (
        r"[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
        r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    ),
}
_CONVERT: dict[Kind, Callable[[str], Value]] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.REAL: float, Kind.DATE: str}


def _usual(field: Field) -> str:
    """Return the pattern of the field's usual spellings: its own word for missing, or a value and no other's word."""
    words = sorted({*_MISSING, field.missing, _SENTINEL.get(field.name, "-")})
    value = _USUAL[field.kind]
    alike = "|".join(re.escape(word) for word in words if re.fullmatch(value, word))
    unlike = rf"(?!(?:{alike})(?:{_BETWEEN}|\Z))" if alike else ""
    return rf"(?:{field.missing}|{unlike}{value})"


_LONGEST_REMEMBERED = 4_000
"""Characters of a part: descriptions reach 2,030."""


class _Columns:
    """The fields of one part, read together."""

    def __init__(self, fields: tuple[Field, ...], *, remembered: int = 0) -> None:
        """`remembered`: of so many lines the values are kept at hand, where the same come again and again."""
        self.fields = fields
        self._usual_values = lru_cache(remembered)(self._converted) if remembered else self._converted
        self._all_of = itemgetter(*(field.name for field in fields))
        self._columns = tuple((field.missing, _CONVERT[field.kind]) for field in fields)

    @cached_property
    def _are_usual(self) -> Callable[[str], object]:
        """Made when first asked for: it takes 7 ms, which a command that only looks at the file can do without."""
        return re.compile(_BETWEEN.join(map(_usual, self.fields)), re.ASCII).fullmatch

    def read(self, received: Mapping[str, Any], extra: Document) -> tuple[Value, ...]:
        """Return the values of the fields, and note in `extra` each whose spelling they would not give back."""
        try:
            spellings = self._all_of(received)
        except KeyError:  # documents of before 2025 lack some
            spellings = tuple([received.get(field.name, field.missing) for field in self.fields])
        try:
            line = _BETWEEN.join(spellings)
        except TypeError:  # not all are texts
            line = None
        if line is None:
            usual = None
        else:
            usual = (self._usual_values if len(line) <= _LONGEST_REMEMBERED else self._converted)(line)
        if usual is not None:
            return usual
        return tuple([_value(field, spelling, extra) for field, spelling in zip(self.fields, spellings, strict=True)])

    def _converted(self, line: str) -> tuple[Value, ...] | None:
        """Return the values of usual spellings, None for others."""
        if not self._are_usual(line):
            return None
        return tuple(
            [
                None if spelling == missing else convert(spelling)
                for spelling, (missing, convert) in zip(line.split(_BETWEEN), self._columns, strict=True)
            ]
        )


def _value(field: Field, spelling: object, extra: Document) -> Value:
    value = read(field, spelling)
    if write(field, value) != spelling:
        extra[field.name] = spelling
    return value


_PROFILE = _Columns(PROFILE_FIELDS, remembered=1024)
_REPORTED = _Columns(REPORTED_FIELDS, remembered=1024)
_DAILY = _Columns(DAILY_FIELDS)


# Documents


def shred(overview: Overview) -> Parts:
    """Return the document in columns; `document` gives it back exactly."""
    received = overview.document
    layout, foreign = _layout(tuple(received))
    extra = {name: received[name] for name in foreign}
    if received.get("Symbol") != overview.symbol:
        extra["Symbol"] = received.get("Symbol")
    return Parts(
        profile=_PROFILE.read(received, extra),
        reported=_REPORTED.read(received, extra),
        daily=_DAILY.read(received, extra),
        layout=layout,
        extra=json.dumps(dict(sorted(extra.items())), ensure_ascii=False) if extra else None,
    )


@lru_cache(maxsize=16)
def _layout(keys: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return a layout, one object for all documents that have it, and which of its keys the catalogue lacks."""
    return keys, frozenset(keys) - FIELDS.keys()


def document(symbol: Symbol, parts: Parts) -> Document:
    """Return the document that was shredded: same keys, same order, every value to the letter."""
    extra: Document = json.loads(parts.extra) if parts.extra else {}
    usual: dict[str, str] = {"Symbol": symbol}
    for fields, values in (
        (PROFILE_FIELDS, parts.profile),
        (REPORTED_FIELDS, parts.reported),
        (DAILY_FIELDS, parts.daily),
    ):
        usual.update((field.name, write(field, value)) for field, value in zip(fields, values, strict=True))
    return {name: extra[name] if name in extra else usual[name] for name in parts.layout}


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a symbol's document from another: its slow parts by digest, the rest itself."""

    profile: bytes
    statement: bytes
    daily: tuple[Value, ...]
    layout: tuple[str, ...]
    extra: str | None


def version(parts: Parts) -> Version:
    """Return the version that the parts make up."""
    return Version(_slow_digest(parts.profile), _slow_digest(parts.reported), parts.daily, parts.layout, parts.extra)


def _slow_digest(values: tuple[Value, ...]) -> bytes:
    """Return the digest of a part that comes again and again. One of long texts is not kept at hand: it may be huge."""
    characters = sum([len(value) for value in values if isinstance(value, str)])
    return (_digest_at_hand if characters <= _LONGEST_REMEMBERED else digest)(values)


@lru_cache(maxsize=2048)
def _digest_at_hand(values: tuple[Value, ...]) -> bytes:
    return digest(values)  # Python has 1 == 1.0, but the values of a column are of one type


def equal(one: Version, other: Version) -> bool:
    """Whether two documents have the same keys and the same values, order aside."""
    return (
        one.daily == other.daily
        and one.statement == other.statement
        and one.profile == other.profile
        and (one.layout == other.layout or set(one.layout) == set(other.layout))
        and (one.extra == other.extra or _unordered(one.extra) == _unordered(other.extra))
    )


def _unordered(extra: str | None) -> str | None:
    """Return the text with the keys of nested objects sorted too. Text, because Python has 1 == 1.0 == True."""
    return extra and json.dumps(json.loads(extra), sort_keys=True)


def digest(values: tuple[Value, ...]) -> bytes:
    """Return the 16 bytes under which a profile, a statement or a layout is kept once."""
    return blake2b(msgspec.msgpack.encode(values), digest_size=16).digest()
