"""`pipeline datasette-metadata`: the file that Datasette reads."""

import json
from pathlib import Path

from pipeline.errors import ExitCode
from pipeline.transfer.datasette import metadata
from tests.support.commands import assert_refused, call


def test_it_is_written_for_the_configured_database_which_need_not_exist(folder: Path) -> None:
    printed = call(folder, "datasette-metadata")
    written = call(folder, "datasette-metadata", "--output", "metadata.json", "--json")

    file = folder / "metadata.json"
    assert printed.json == json.loads(file.read_text()) == metadata("overviews")
    assert written.json == {"file": "metadata.json", "bytes": file.stat().st_size}
    assert not (folder / "data").exists()


def test_a_copy_has_a_name_of_its_own(folder: Path) -> None:
    assert call(folder, "datasette-metadata", "--database", "copies/march.db").json == metadata("march")


def test_another_user_can_read_it(folder: Path) -> None:
    assert call(folder, "datasette-metadata", "--output", "metadata.json").code == ExitCode.DONE

    assert (folder / "metadata.json").stat().st_mode & 0o044 == 0o044


def test_it_does_not_replace_the_database(database: Path) -> None:
    before = database.read_bytes()

    ended = call(database.parent, "datasette-metadata", "--database", database.name, "--output", database.name)

    assert_refused(ended, ExitCode.FAILED, "must not be overwritten")
    assert database.read_bytes() == before
