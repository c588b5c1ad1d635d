"""The trial `fuzz`: bytes from outside, mutated, into every decoder; each accepts them as they are, or refuses them.

A case that breaks something is made as small as that allows and printed, as the command that reads it again:
`python -m tests.torture.fuzz DECODER CASE`, with --keep NAME to add it to `corpus/`, which every later run begins from.
"""

import argparse
import base64
import logging
import os
import resource
import shlex
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from random import Random
from types import FrameType

import structlog

from tests.torture import fuzzed_documents, fuzzed_files, fuzzed_requests, fuzzed_texts
from tests.torture.decoder import OPEN, Decoder
from tests.torture.spoiled_bytes import mutated
from tests.torture.trial import Bout, Mutant, Trial

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(tempfile.gettempdir()) / "overview-pipeline-fuzz"
"""Where cases are written that are too large to print."""
_LONGEST_TEXT = 2_000
"""Characters of a case that is printed."""
_LONGEST = 1.0
"""Seconds of processor time for a case."""
_GIVEN_UP = 5.0
"""Seconds after which a case is stopped."""
_MEMORY = 40 * 2**20
"""Bytes that a case may take beyond what all before took, once the decoder has read its seeds."""


class _Stopped(BaseException):
    """A case took too long."""


@cache
def decoders() -> tuple[Decoder, ...]:
    """Return all decoders."""
    return (
        *fuzzed_texts.decoders(),
        *fuzzed_documents.decoders(),
        *fuzzed_files.decoders(),
        *fuzzed_requests.decoders(),
    )


def kept(decoder: Decoder) -> list[Path]:
    """Return the files of the corpus for a decoder."""
    return sorted(path for path in (CORPUS / decoder.folder).glob("*") if path.is_file())


def problem(decoder: Decoder, content: bytes, *, memory: int | None = None, seconds: float = _LONGEST) -> str | None:
    """Let a decoder read a content; return what is wrong, None if nothing is.

    `memory`: the most bytes that it may add to what this process ever took. `seconds`: of the processor.
    """
    before, began = _peak(), time.process_time()
    try:
        with _limited():
            found = decoder.problem(content)
    except _Stopped:
        return f"stopped after {_GIVEN_UP:g} s of processor time"
    took, grew = time.process_time() - began, _peak() - before
    if found is None and took > seconds:
        return f"took {took:.1f} s of processor time for {len(content):,} bytes"
    if found is None and memory is not None and grew > memory:
        return f"took {grew / 2**20:,.0f} MB more for {len(content):,} bytes"
    return found


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _limited() -> Iterator[None]:
    """Raise _Stopped where the block takes too much of the processor."""
    signal.setitimer(signal.ITIMER_PROF, _GIVEN_UP)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped


def smaller(content: bytes, is_bad: Callable[[bytes], bool], *, seconds: float = 3) -> bytes:
    """Return the content without what is not needed for it to be bad."""
    until, step = time.monotonic() + seconds, max(len(content) // 2, 1)
    while step and time.monotonic() < until:
        start, is_smaller = 0, False
        while start < len(content) and time.monotonic() < until:
            without = content[:start] + content[start + step :]
            if is_bad(without):
                content, is_smaller = without, True
            else:
                start += step
        step = step if is_smaller and step == 1 else step // 2
    return content


class Finder:
    """Gives cases to a decoder, and notes what they break: each kind once."""

    def __init__(self, decoder: Decoder, bout: Bout) -> None:
        self.decoder = decoder
        self.seconds = 0.0
        """How long it has been tried."""
        self.cases = self.turns = 0
        self._bout = bout
        self._random = Random(f"{bout.seed} {decoder.name}")
        self._seeds = (*decoder.seeds, *(path.read_bytes() for path in kept(decoder)))
        self._seen: set[str] = set()

    def turn(self) -> None:
        """Try some cases; the first time, the seeds before."""
        began = time.monotonic()
        if not self.turns:
            self._begin()
        for _ in range(self.decoder.at_once):
            self._try(mutated(self._random, self._seeds), memory=_MEMORY)
        self.turns += 1
        self.seconds += time.monotonic() - began

    def _begin(self) -> None:
        """Read the seeds, which loads and caches what the decoder needs; none may break anything."""
        for seed in self._seeds:
            self._try(seed, memory=None)
        for content in self.decoder.large:
            self._try(content, memory=_MEMORY, seconds=_GIVEN_UP)

    def _try(self, content: bytes, *, memory: int | None, seconds: float = _LONGEST) -> None:
        self.cases += 1
        found = problem(self.decoder, content, memory=memory, seconds=seconds)
        if found is not None and (kind := _kind(found)) not in self._seen:
            self._seen.add(kind)
            self._report(content, found, kind)

    def _report(self, content: bytes, found: str, kind: str) -> None:
        if not self._bout.stops_when_broken:

            def is_bad(one: bytes) -> bool:
                again = problem(self.decoder, one)
                return again is not None and _kind(again) == kind

            content = smaller(content, is_bad)
        case = as_text(content)
        if len(case) > _LONGEST_TEXT and not self._bout.stops_when_broken:
            case = str(_written(content, FOUND / self.decoder.folder))
        begun = f"{content[:60]!r}{'...' if len(content) > 60 else ''}"
        again = f"python -m tests.torture.fuzz {shlex.quote(self.decoder.name)} {case[:_LONGEST_TEXT]}"
        self._bout.broken(f"{self.decoder.name}: {found}; {len(content):,} bytes {begun}, again: {again}")


def as_text(content: bytes) -> str:
    """Return a case as a word of a command line."""
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode()


def _written(content: bytes, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / blake2b(content, digest_size=6).hexdigest()
    path.write_bytes(content)
    return path


def read_case(text: str) -> bytes:
    """Return the case of a word that `as_text` made, or of a file. Raise ValueError for any other text."""
    if os.path.isfile(text):  # noqa: PTH113 - Path raises for a name that is too long
        return Path(text).read_bytes()
    try:
        return zlib.decompress(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, zlib.error):
        raise ValueError("neither a file, nor a case as the trial prints it") from None


def _kind(found: str) -> str:
    """Return what kind of problem it is: its words, without numbers, and where it was raised."""
    place = found.rpartition("(")[2] if found.endswith(")") else ""
    return "".join(character for character in found[:25] if character.isalpha()) + place


def run(bout: Bout) -> None:
    """Give decoders their turns, and count the cases."""
    finders = tried(bout)
    bout.count("cases", sum(one.cases for one in finders))
    bout.count("decoders", sum(1 for one in finders if one.cases))


def tried(bout: Bout) -> list[Finder]:
    """Give each decoder the same time, or as many turns where they are counted; return them with their cases."""
    _prepare()
    finders = [Finder(one, bout) for one in decoders()]
    bout.random.shuffle(finders)  # a short run begins with other decoders each time
    while bout.goes_on():
        min(finders, key=lambda one: one.seconds if bout.attempts is None else one.turns).turn()
    OPEN.close()
    return finders


def _prepare() -> None:
    """Let this process read cases: quietly, and none of them for long."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGPROF, _stop)
    os.environ.pop("WATCHDOG_PID", None)


def again(name: str, text: str, keep: str | None) -> int:
    """Read a case once more, print what is wrong with it, and keep it in the corpus under a name if one is given.

    Return 1 if something is wrong. Raise ValueError for an unknown decoder, and for a text that is no case.
    """
    known = {one.name: one for one in decoders()}
    if name not in known:
        raise ValueError(f"no decoder {name!r}: {', '.join(known)}")
    decoder, content = known[name], read_case(text)
    _prepare()
    found = problem(decoder, content)
    print(f"{content!r}\n{found or 'taken, or refused as it should be'}")
    if keep is not None:
        (CORPUS / decoder.folder).mkdir(exist_ok=True)
        (CORPUS / decoder.folder / keep).write_bytes(content)
    OPEN.close()
    return int(found is not None)


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.fuzz", description="Read a case of the trial again.")
    parser.add_argument("decoder")
    parser.add_argument("case", help="as the trial prints it, or a file")
    parser.add_argument("--keep", metavar="NAME", help="add it to the corpus, under the name of the bug")
    options = parser.parse_args()
    try:
        return again(options.decoder, options.case, options.keep)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


TRIAL = Trial(
    name="fuzz",
    promise="any bytes from outside are taken as they are, or refused in one line; none shows the key",
    run=run,
    share=0.5,
    short_attempts=240,
    mutants=(
        Mutant(
            "lets deep nesting through",
            "pipeline/decoding.py",
            "_ERRORS = (ValueError, RecursionError, OverflowError)",
            "_ERRORS = (ValueError, OverflowError)",
        ),
        Mutant(
            "takes NaN for a number",
            "pipeline/api/responses.py",
            "parse_constant=_no_constant, parse_float=_finite",
            "parse_float=_finite",
        ),
        Mutant(
            "respells numbers",
            "pipeline/json_text.py",
            "    return SpelledNumber(text)\n",
            "    return float(text)\n",
        ),
        Mutant(
            "reads a file whole, however large",
            "pipeline/transfer/json_files.py",
            "stream.read(LARGEST_BODY + 1)",
            "stream.read()[: LARGEST_BODY + 1]",
        ),
        Mutant(
            "repeats the key",
            "pipeline/api/responses.py",
            'rf"\\1{HIDDEN}", redact(text[:_READ]))',
            'rf"\\1{HIDDEN}", text[:_READ])',
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(_main())
