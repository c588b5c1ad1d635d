"""Readable: the file that a question is answered from; of a database of an older version, a migrated temporary copy."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.cli.options import Options
from pipeline.instants import utc_now
from pipeline.store.database import DatabaseError, translate_errors
from pipeline.store.migration_files import shipped_migrations
from pipeline.store.older_schema import migrated_copy
from pipeline.store.reader import open_any_version

SMALL_BYTES = 64 << 20
"""A database up to this size is copied unasked: it takes a second or so."""


@contextmanager
def readable(database: Path, options: Options) -> Iterator[Path]:
    """Yield the database; where its schema is older and it is small or --migrate-copy was given, a migrated copy of it.

    The copy is removed at the end of the block. Anything else that is wrong with the database, opening it will show;
    an unexpected error in the block is the database's, if that is found damaged.
    """
    version, newest = _version(database), len(shipped_migrations())
    if not 0 < version < newest or not (options.migrate_copy or database.stat().st_size <= SMALL_BYTES):
        with translate_errors(database):
            yield database
        return
    how = "answering from a migrated copy; pipeline migrate brings it up to date"
    options.say(f"{database} has schema {version} of {newest}: {how}")
    from pipeline.cli.migration_progress import migration_progress  # noqa: PLC0415 - it takes 40 ms, and few are older

    with (
        migration_progress(options) as show,
        migrated_copy(database, now=utc_now(), on_progress=show) as copy,
        translate_errors(copy),
    ):
        yield copy


def _version(database: Path) -> int:
    """Return the version of the schema, 0 if it cannot be known."""
    with suppress(DatabaseError), open_any_version(database) as (_, schema):
        return schema.version
    return 0
