"""A series of answers that the real API gave, imported by the command. Run as a process: prints JSON."""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.invented_series import bytes_of, has_dbstat
from benchmarks.storage import PARTS, RecordedSeries
from pipeline.instants import from_text, to_text
from pipeline.store.reader import open_for_reading
from pipeline.transfer.export import Selection, originals

_LEDGER = ("requests", "blocked", "outcomes")
"""Tables about collecting: an import hardly fills them, and they are pruned."""


def imported(recording: Path) -> RecordedSeries:
    """Import a recording into a new file; return its size there, and how much is read back exactly."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "overviews.db")
        command = [str(Path(sys.executable).with_name("pipeline")), "--database", str(database), "-q", "import"]
        subprocess.run([*command, str(recording)], cwd=folder, stdout=sys.stderr, check=True)
        with open_for_reading(database) as db:
            kept = _kept(originals(db, Selection()))
            (snapshots,) = db.execute("SELECT count(*) FROM snapshots").fetchone()
            (whole,) = db.execute("SELECT sum(pgsize) FROM dbstat").fetchone()
        received = list(_overviews(recording))
        exact = sum(_spelled(kept.get((symbol, at))) == _spelled(one) for symbol, at, one in received)
        return RecordedSeries(
            snapshots,
            bytes_of(database, PARTS),
            whole - bytes_of(database, _LEDGER),
            len(received),
            exact,
        )


def _kept(lines: Iterator[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """Return the document of each symbol at each observation."""
    return {
        (line["symbol"], at): line["document"] for line in lines for at in (line["observed_at"], *line.get("looks", ()))
    }


def _overviews(recording: Path) -> Iterator[tuple[str, str, Any]]:
    with gzip.open(recording, "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            try:
                received = json.loads(line["body"])
            except json.JSONDecodeError:
                continue  # not an overview: a page of HTML, an empty answer
            if "Symbol" in received:
                yield line["symbol"], to_text(from_text(line["observed_at"])), received


def _spelled(document: object) -> str:
    """Return a document as text, to compare the order of its keys and the spelling of its values too."""
    return json.dumps(document)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", type=Path)
    recording = parser.parse_args().recording
    print(json.dumps(asdict(imported(recording)) if has_dbstat() else None))


if __name__ == "__main__":
    main()
