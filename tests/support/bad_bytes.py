"""Bad bytes: what a disk, a person or an attacker makes of a text that some decoder reads."""

from hypothesis import strategies as st

DEEP = 20_000
"""Far deeper than any recursion limit."""
SPOILERS = (
    b"", b"\0", b"\xff", b"\xc3\x28", b"\xef\xbb\xbf", b"\xff\xfei\0", b"\r", b"\n", b"\x1b[2J", "\u202e".encode(),
    b'"\\ud800"', b"\\ud800", b"\xed\xa0\x80", b'"\\u0000"', b"\\", b'"', b"'", b"{", b"]", b",", b"#", b"=",
    b"null", b"true", b"[]", b"{}", b'""', b"0", b"-1", b"-0", b"1.5", b"1e999", b"-1e999", b"NaN", b"Infinity",
    b"9" * 19, b"9" * 400, b"9" * 5_000, b"-" + b"9" * 5_000, "١٢".encode(), b"1_000",
    b"[" * DEEP, b'{"a":' * DEEP, b"[" * 300 + b"]" * 300, b"a = [" + b"[" * DEEP,
    b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59.999Z"', b'"9999-12-31T23:59:59-23:59"',
    b'"2026-02-30T00:00:00Z"', b'"2026-03-14T18:30:00"', b'"2026-03-14"', b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59", b"2026-03-14T24:00:00Z", b"99999999-01-01", b"999999d", b"a" * 100_000,
)  # fmt: skip
"""Pieces that some decoder somewhere does not expect."""


@st.composite
def _spoilt(draw: st.DrawFn, samples: tuple[bytes, ...]) -> bytes:
    """Replace a part of a valid text by a spoiler: a whole value of it, or any bytes."""
    text = draw(st.sampled_from(samples))
    ends = [place for place, byte in enumerate(text) if byte in b',:[]{}"= \n'] or [0]
    places = st.one_of(st.sampled_from(ends).map(lambda end: end + 1), st.integers(0, len(text)))
    start, stop = sorted((draw(places), draw(places)))
    return text[:start] + draw(st.sampled_from(SPOILERS)) + text[stop:]


@st.composite
def _cut(draw: st.DrawFn, samples: tuple[bytes, ...]) -> bytes:
    text = draw(st.sampled_from(samples))
    return text[: draw(st.integers(0, len(text)))]


def bad_bytes(*samples: bytes) -> st.SearchStrategy[bytes]:
    """Return bytes that resemble valid texts: cut off, spoilt at a place, or nothing like them at all."""
    return st.one_of(_spoilt(samples), _cut(samples), st.sampled_from(SPOILERS), st.binary(max_size=200))


def bad_texts(*samples: str) -> st.SearchStrategy[str]:
    """Return the same as text, in which bytes that are not UTF-8 are lone surrogates, as in `os.environ`."""
    encoded = (sample.encode() for sample in samples)
    return bad_bytes(*encoded).map(lambda text: text.decode(errors="surrogateescape"))
