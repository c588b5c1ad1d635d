"""A terminal as a file: what a command writes as bytes for programs, shown without the codes that a terminal obeys."""

import codecs
import io
from typing import BinaryIO

from pipeline.text import printable


class TerminalFile(io.RawIOBase):
    """Writes text in UTF-8 to a terminal, with control characters and invalid bytes as their escapes.

    A document comes from outside: its codes could move the cursor, change the title, or fill the clipboard.
    """

    def __init__(self, terminal: BinaryIO) -> None:
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("backslashreplace")

    def writable(self) -> bool:
        return True

    def write(self, content: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]  # any buffer
        piece = bytes(content)
        self._show(self._decoder.decode(piece))
        return len(piece)

    def close(self) -> None:
        """Show what is left of an unfinished character, and leave the terminal open."""
        if not self.closed:
            self._show(self._decoder.decode(b"", final=True))
        super().close()

    def _show(self, text: str) -> None:
        self._terminal.write(printable(text.replace("\r\n", "\n"), kept="\n").encode("utf-8", "backslashreplace"))
        self._terminal.flush()
