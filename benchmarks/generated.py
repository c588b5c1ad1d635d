"""Generated databases of millions of snapshots: made once in a folder, and found there again."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from benchmarks.processes import measured, report_progress
from pipeline.store.migration_files import shipped_migrations

DAYS = 1_000
SMALL, LARGE = 1_000, 10_000
"""Companies."""
TIMEOUT = timedelta(minutes=30)


@contextmanager
def databases(folder: Path | None) -> Iterator[Path]:
    """Yield the folder of the databases: a temporary one where none is named."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
    else:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made).resolve()


def generate(place: Path, companies: int) -> str:
    """Generate the database of that many companies if there is none yet, and return how that went."""
    database = database_in(place, companies)
    if database.exists():
        return f"{companies:,} companies, {DAYS:,} each; generated before"
    report_progress(f"generating {companies * DAYS:,} snapshots")
    partial = database.with_suffix(".partial")
    made = measured("benchmarks.large_database", str(partial), str(companies), str(DAYS), timeout=TIMEOUT)
    partial.rename(database)
    rows = f"{companies:,} companies, {DAYS:,} each, and {made['observations']:,} observations"
    return f"{rows}; generated in {made['seconds']:.0f} s"


def database_in(place: Path, companies: int) -> Path:
    """Return the path of the database of that many companies, by schema: another would be refused."""
    schema = "".join(migration.checksum for migration in shipped_migrations())
    return place / f"{companies}x{DAYS}-{sha256(schema.encode()).hexdigest()[:8]}.db"
