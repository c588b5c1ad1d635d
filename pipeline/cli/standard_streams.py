"""Standard streams whose reader may go (`| head`): that ends the output, but neither the work nor its exit code."""

import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, TextIO

_STDOUT, _STDERR = 1, 2


class Output(FileIO):
    """A stream's file. What cannot be written because of an `ignored` error is discarded."""

    def __init__(self, descriptor: int, *ignored: type[OSError]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.ignored = ignored

    def write(self, data: Any, /) -> int:
        """Write bytes, as `FileIO.write` does."""
        try:
            return super().write(data)
        except self.ignored:
            return len(data)


def open_standard_streams() -> None:
    """Make stdout and stderr ones whose reader may go; and where the caller closed one (`2>&-`), open /dev/null for it.

    Otherwise the next file opened would get its descriptor, and the stream's output with it; and uvloop aborts the
    process when it closes a descriptor that low.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    sys.stdout = _opened(sys.stdout, Output(_STDOUT, BrokenPipeError))
    # Whatever is wrong with it, there is no other place to report that to.
    sys.stderr = _opened(sys.stderr, Output(_STDERR, OSError))


def _opened(stream: TextIO | None, file: Output) -> TextIOWrapper:
    """Return a stream like the one that Python opened, if it did, on this file."""
    if not isinstance(stream, TextIOWrapper):
        return TextIOWrapper(BufferedWriter(file), encoding="utf-8", line_buffering=file.fileno() == _STDERR)
    return TextIOWrapper(
        file if stream.write_through else BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def end_with_reader() -> None:
    """Raise BrokenPipeError from now on when stdout has no reader any more: there is nothing else to do."""
    buffer = getattr(sys.stdout, "buffer", None)
    file = getattr(buffer, "raw", buffer)
    if isinstance(file, Output):
        file.ignored = ()
