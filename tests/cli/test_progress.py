"""Progress bars: where one is drawn."""

import sys

import pytest

from pipeline.cli.options import Options
from pipeline.cli.progress import progress_bar


@pytest.mark.parametrize(
    ("stdout", "stderr", "prints_rows", "is_drawn"),
    [
        (True, True, False, True),
        (True, True, True, False),  # the rows would be printed into the bar
        (False, True, True, True),
        (True, False, False, False),
    ],
)
def test_a_bar_is_drawn_on_a_terminal_on_which_no_rows_are_printed(
    monkeypatch: pytest.MonkeyPatch, *, stdout: bool, stderr: bool, prints_rows: bool, is_drawn: bool
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: stdout)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: stderr)
    with progress_bar(Options(), prints_rows=prints_rows) as bar:
        assert (bar is not None) is is_drawn
