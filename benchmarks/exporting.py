"""A database as one Parquet file, written as the command writes it. Run as a process: prints JSON."""

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.processes import peak_megabytes
from pipeline.files import replacing
from pipeline.store.reader import open_for_reading
from pipeline.transfer import parquet
from pipeline.transfer.export import Selection, read_transaction


@dataclass(slots=True)
class Exported:
    """What the export took."""

    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    peak_megabytes: float = 0.0


def export(database: Path) -> Exported:
    """Export a database to a temporary file beside it."""
    done = Exported()
    with (
        tempfile.TemporaryDirectory(dir=database.parent) as folder,
        open_for_reading(database) as db,
        read_transaction(db),
    ):
        target, began = Path(folder, "overviews.parquet"), perf_counter()
        with replacing(target) as file:
            parquet.write(file, (group.table for group in _counted(parquet.groups(db, Selection()), done)))
        done.seconds, done.bytes, done.peak_megabytes = perf_counter() - began, target.stat().st_size, peak_megabytes()
    return done


def _counted(groups: Iterable[parquet.Group], done: Exported) -> Iterator[parquet.Group]:
    for group in groups:
        done.rows += group.table.num_rows
        yield group


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=Path)
    print(json.dumps(asdict(export(parser.parse_args().database))))


if __name__ == "__main__":
    main()
