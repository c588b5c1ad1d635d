"""Plots as files: .svg, .png or .html, by the file's name; whole or absent."""

import logging
from pathlib import Path

from pipeline import extras
from pipeline.errors import Trouble
from pipeline.files import replacing
from pipeline.plot.html_page import html_page
from pipeline.plot.series import Plot

FORMATS = (".svg", ".png", ".html")
_SHARED_FILE = 0o666
"""As the umask has it: a picture is made to be shown."""


def save(path: Path, plot: Plot) -> None:
    """Write the plot to a file of the format that its name ends in; an older file is replaced.

    Raise Trouble for another ending, without matplotlib, or if the file cannot be written. No folder is created: a
    private one, as elsewhere, would hide a file that is made to be shown.
    """
    if path.suffix.lower() not in FORMATS:
        raise Trouble(f"{path}: unknown format of a plot", remedy=f"name a file that ends in {', '.join(FORMATS)}")
    content = _content(path.suffix.lower(), plot)
    with replacing(path, mode=_SHARED_FILE, creates_folders=False) as file:
        file.write(content)


def _content(suffix: str, plot: Plot) -> bytes:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it logs, when imported, that it builds a font cache
    images = extras.images()
    if suffix == ".png":
        png: bytes = images.png(plot)
        return png
    svg: str = images.svg(plot)
    return (svg if suffix == ".svg" else html_page(plot, svg)).encode()
