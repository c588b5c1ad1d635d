"""Showing a plot: in the terminal's characters and colours, or not at all."""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper

import pytest

from pipeline.cli.drawing import show
from pipeline.cli.options import Options
from pipeline.errors import Trouble
from pipeline.plot.save import Picture


class Terminal(TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def no_picture() -> Picture:
    raise AssertionError


def shown(make: Callable[[BytesIO], TextIOWrapper]) -> str:
    """Return what is printed, which says whether colours show."""
    raw = BytesIO()
    stream = make(raw)
    with redirect_stdout(stream):
        show(lambda width, height, color: f"colours: {color}", no_picture, None, Options())
    stream.flush()
    return raw.getvalue().decode().strip()


@pytest.mark.parametrize(
    ("variables", "colors"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False)]
)
def test_colours_show_on_a_terminal_that_has_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colors: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    assert shown(lambda raw: Terminal(raw, encoding="utf-8")) == f"colours: {colors}"
    assert shown(lambda raw: TextIOWrapper(raw, encoding="utf-8")) == "colours: False"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_output_without_the_characters_of_a_plot_is_refused(encoding: str) -> None:
    with pytest.raises(Trouble) as refused:
        shown(lambda raw: Terminal(raw, encoding=encoding))
    assert "UTF-8" in str(refused.value.remedy)
