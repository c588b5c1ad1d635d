"""The corpus of the trial `fuzz`: every case that once broke something, and valid bytes, for each decoder."""

import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.torture import fuzz
from tests.torture.decoder import OPEN, Decoder, Wrong
from tests.torture.spoiled_bytes import mutated
from tests.torture.trial import Bout

_LARGEST = 10_000
"""Bytes of a case."""
_ALWAYS_REFUSE = ("a key's file",)
"""Decoders of the name of a file that must not exist where tests run."""
DECODERS = fuzz.decoders()


@pytest.fixture(scope="session", autouse=True)
def closed() -> Iterator[None]:
    """Close what decoders opened, and keep, at the very end: a worker may come back to this module."""
    yield
    OPEN.close()


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    """Stop a case that takes too long, as the trial does."""
    before = signal.signal(signal.SIGPROF, fuzz._stop)
    yield
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.folder)
def test_what_broke_a_decoder_once_is_taken_or_refused(decoder: Decoder) -> None:
    cases = {path.name: path.read_bytes() for path in fuzz.kept(decoder)}
    found = {name: decoder.problem(content) for name, content in cases.items()}
    assert found == dict.fromkeys(cases)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.folder)
def test_each_decoder_takes_some_of_its_seeds(decoder: Decoder) -> None:
    assert [problem for seed in decoder.seeds if (problem := decoder.problem(seed)) is not None] == []
    assert decoder.name in _ALWAYS_REFUSE or any(_is_taken(decoder, seed) for seed in decoder.seeds)


def _is_taken(decoder: Decoder, seed: bytes) -> bool:
    try:
        decoder.read(seed)
    except decoder.refusals:
        return False
    return True


def test_the_corpus_has_small_cases_of_known_decoders() -> None:
    kept = {path for decoder in DECODERS for path in fuzz.kept(decoder)}
    assert {path for path in fuzz.CORPUS.rglob("*") if path.is_file()} == kept
    assert [path for path in kept if path.stat().st_size > _LARGEST] == []
    assert len({one.folder for one in DECODERS}) == len(DECODERS)


def test_a_seed_makes_the_same_cases_again() -> None:
    cases = [[mutated(Random(7), (b'{"a": [1.10, "x"]}', b"[]")) for _ in range(200)] for _ in range(2)]
    assert cases[0] == cases[1]


def test_a_decoder_gets_the_same_cases_whichever_others_had_their_turns(tmp_path: Path) -> None:
    def read_by(bout: Bout) -> list[bytes]:
        read: list[bytes] = []
        finder = fuzz.Finder(Decoder("a decoder", read.append, (), (b'{"a": 1}',)), bout)
        bout.random.random()
        for _ in range(3):
            finder.turn()
        return read

    cases = [read_by(Bout(tmp_path, seconds=seconds, seed=7)) for seconds in (0, 1000)]
    assert cases[0] == cases[1]
    assert len({*cases[0]}) > 30


def test_a_case_is_printed_as_a_word_that_is_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bout = Bout(tmp_path, seconds=1000, seed=7)
    name = "a decoder of 'words'"

    def refuse(content: bytes) -> None:
        raise KeyError("x") if len(content) > 10 else ValueError

    content = b"\xff\0 \n" * 100
    fuzz.Finder(Decoder(name, refuse, (ValueError,), (content,), at_once=0), bout).turn()

    (line,) = bout.result().broken
    command = shlex.split(line.rpartition("again: ")[2])
    assert command[:4] == ["python", "-m", "tests.torture.fuzz", name]
    assert len(line) < 600
    assert len(fuzz.read_case(command[4])) == 11
    assert fuzz.again("symbols", fuzz.as_text(b"BRK-B"), None) == 0
    assert "taken" in capsys.readouterr().out
    for text in ("x", "\0", fuzz.as_text(content)[:-8]):
        with pytest.raises(ValueError, match="neither a file"):
            fuzz.read_case(text)


def test_a_case_is_made_smaller_as_long_as_it_is_bad() -> None:
    assert fuzz.smaller(b"x" * 300 + b"bad" + b"y" * 300, lambda content: b"bad" in content) == b"bad"
    assert fuzz.smaller(b"", lambda _content: True) == b""


def _decoder(read: object, *refusals: type[Exception]) -> Decoder:
    return Decoder("a decoder", read, refusals, (b"",), hides_key=True)  # type: ignore[arg-type]


def test_anything_but_a_short_refusal_is_a_problem() -> None:
    def raises(error: Exception) -> Decoder:
        def read(_content: bytes) -> None:
            raise error

        return _decoder(read, ValueError)

    assert raises(ValueError("no instant")).problem(b"") is None
    assert "KeyError" in (raises(KeyError("x")).problem(b"") or "")
    assert "RecursionError" in (raises(RecursionError()).problem(b"") or "")
    assert "characters" in (raises(ValueError("x" * 2_000)).problem(b"") or "")
    assert "key" in (raises(ValueError("S3CR3TK3YOFOURS1")).problem(b"") or "")
    assert raises(Wrong("another value")).problem(b"") == "another value"


def test_a_case_that_takes_too_much_of_the_processor_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "_GIVEN_UP", 0.05)

    def endless(_content: bytes) -> None:
        while True:
            pass

    assert "stopped" in (fuzz.problem(_decoder(endless), b"") or "")
