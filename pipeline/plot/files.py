"""Plots as files: .svg, .png or .html, by the file's name; whole or absent."""

import logging
from pathlib import Path

from pipeline import extras
from pipeline.errors import Trouble, file_reason
from pipeline.plot.html_page import html_page
from pipeline.plot.series import Plot

FORMATS = (".svg", ".png", ".html")


def save(path: Path, plot: Plot) -> None:
    """Write the plot to a file of the format that its name ends in; an older file is replaced.

    Raise Trouble for another ending, without matplotlib, or if the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise Trouble(f"{path}: unknown format of a plot", remedy=f"name a file that ends in {', '.join(FORMATS)}")
    _write(path, _content(path.suffix.lower(), plot))


def _content(suffix: str, plot: Plot) -> bytes:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it logs, when imported, that it builds a font cache
    images = extras.images()
    if suffix == ".png":
        png: bytes = images.png(plot)
        return png
    svg: str = images.svg(plot)
    return (svg if suffix == ".svg" else html_page(plot, svg)).encode()


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        if path.is_dir():
            raise Trouble(f"{path} is a folder: name a file in it")
        try:
            partial.unlink(missing_ok=True)  # left by a process that was killed
            with partial.open("xb") as file:
                file.write(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {file_reason(error)}") from None
