"""Where the recorded answers of the real API lie, and how a test says that it needs them."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
ERRORS = RECORDINGS / "errors"

needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings at ../shared/recordings")


def recorded(name: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a gzipped JSON Lines recording."""
    with gzip.open(RECORDINGS / name, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
