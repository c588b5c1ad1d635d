"""Fleet conflicts: refuses what would mix a fleet's record with one that a single machine collects."""

from pathlib import Path

from pipeline.errors import ExitCode, Trouble
from pipeline.settings.fleet import Fleet
from pipeline.store.log_place import followed, holds_own_record


class MixedRecords(Trouble):
    """A fleet's record and a machine's own would share a file."""

    exit_code = ExitCode.REFUSED


def refuse_other_record(file: Path, fleet: Fleet | None) -> None:
    """Raise MixedRecords if a database, or a backup, is not of the kind that this machine writes.

    In a fleet that is one that follows, or has nothing in it yet; else one that does not follow. Raise DatabaseError if
    it cannot be read. Whether it follows this fleet and no other, PostgreSQL alone can say.
    """
    place = followed(file)
    if fleet is None and place is not None:
        raise MixedRecords(
            f"{file} follows the fleet {place.fleet}, which this machine is not configured for",
            remedy="set PIPELINE_FLEET_URL, name another --database, or let it go with pipeline fleet detach",
        )
    if fleet is not None and place is None and holds_own_record(file):
        raise MixedRecords(
            f"{file} was collected by a single machine, and this one belongs to a fleet",
            remedy="give it to the fleet with pipeline fleet import, or name another --database",
        )


def refuse_import(fleet: Fleet | None) -> None:
    """Raise MixedRecords in a fleet: what is imported into one machine's file would be unknown to the others."""
    if fleet is not None:
        raise MixedRecords(
            "this machine belongs to a fleet: an import into its file would not reach the others",
            remedy="import into a file of its own, without PIPELINE_FLEET_URL, and give that to pipeline fleet import",
        )
