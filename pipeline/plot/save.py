"""Pictures as files: .svg, .png, .pdf or .html, by the file's name; whole or absent."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline import extras
from pipeline.errors import Trouble
from pipeline.files import replacing
from pipeline.plot.html_page import html_page
from pipeline.plot.spec import Spec
from pipeline.plot.table import Table

FORMATS = (".svg", ".png", ".pdf", ".html")
_SHARED_FILE = 0o666
"""As the umask has it: a picture is made to be shown."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a file shows: a spec; one that reacts to the pointer; and the values in full."""

    still: Spec
    interactive: Spec
    table: Table


def save(path: Path, picture: Picture, *, check: Callable[[Path], None]) -> None:
    """Write the picture to a file of the format that its name ends in; an older file is replaced if it passes `check`.

    Raise Trouble for another ending, without vl-convert, or if the file cannot be written. No folder is created: a
    private one, as elsewhere, would hide a file that is made to be shown.
    """
    if path.suffix.lower() not in FORMATS:
        raise Trouble(f"{path}: unknown format of a picture", remedy=f"name a file that ends in {', '.join(FORMATS)}")
    content = _content(path.suffix.lower(), picture)
    with replacing(path, check=check, mode=_SHARED_FILE, creates_folders=False) as file:
        file.write(content)


def _content(suffix: str, picture: Picture) -> bytes:
    images = extras.images()
    match suffix:
        case ".png":
            png: bytes = images.png(picture.still)
            return png
        case ".pdf":
            pdf: bytes = images.pdf(picture.still)
            return pdf
        case _:
            svg: str = images.svg(picture.still)
    if suffix == ".svg":
        return svg.encode()
    return html_page(svg=svg, spec=picture.interactive, table=picture.table, script=images.script()).encode()
