"""No command's output replaces a database, a file that belongs to one, or a file of the configuration in use."""

import importlib.util
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click
import pytest

from pipeline.errors import ExitCode
from pipeline.monitoring.heartbeat import heartbeat_path
from pipeline.store.database import beside, database_files
from pipeline.store.lock import daemon_lock_path
from pipeline.store.marker import marker_path
from tests.cli.test_terminal import commands
from tests.support.commands import KEY, Ended, assert_refused, call, run_shell

TRADES = "symbol,time\nIBM,2026-03-14\n"
WRITERS = {
    "as-of": (".svg", ["2026-03-14", "--plot", "pe_ratio", "eps", "--output"]),
    "datasette-metadata": ("", ["--output"]),
    "export": ("", ["--format", "csv", "--output"]),
    "export --partition": ("", ["--partition", "--output"]),
    "history": (".svg", ["IBM", "pe_ratio", "--plot"]),
    "join": ("", ["trades.csv", "pe_ratio", "--format", "csv", "--output"]),
    "panel": ("", ["eps", "--every", "1d", "--since", "2026-03-01", "--format", "csv", "--output"]),
}
"""Commands with an output: how the name of one must end, and the arguments before it."""
READ = {"--config", "--database", "--at"}
"""Options that name a file to read."""
NEEDS = {"as-of": "vl_convert", "history": "vl_convert", "export --partition": "pyarrow"}


@pytest.fixture(params=WRITERS)
def command(request: pytest.FixtureRequest) -> str:
    """Return each command that writes an output."""
    name: str = request.param
    if (needed := NEEDS.get(name)) and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    return name


@pytest.fixture
def place(tmp_path: Path, stored: Path) -> Path:
    """Return a folder with a database to read, a configuration, and a table to join."""
    shutil.copy(stored, tmp_path / "overviews.db")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('database = "overviews.db"\n')
    (tmp_path / "trades.csv").write_text(TRADES)
    return tmp_path.resolve()


def write(place: Path, command: str, output: Path, *options: str, **variables: str) -> Ended:
    words = WRITERS[command][1]
    return call(place, *options, command.split(maxsplit=1)[0], *words, str(output), **variables)


def named(place: Path, command: str, name: str) -> Path:
    """Return a path whose name the command accepts."""
    return place / f"{name}{WRITERS[command][0]}"


def files(place: Path) -> dict[str, bytes | None]:
    """Return what is in the folder, but for what reading puts beside the database."""
    found = {str(path.relative_to(place)): path for path in place.rglob("*")}
    return {
        name: path.read_bytes() if path.is_file() else None
        for name, path in found.items()
        if not name.startswith(("overviews.db-", "overviews.db."))
    }


def assert_kept(place: Path, command: str, output: Path, *options: str, **variables: str) -> None:
    """Check that the command refuses the output in one line, and that no file changed, came or went."""
    before = files(place)
    is_file = command == "export --partition" and output.exists()
    ended = write(place, command, output, *options, **variables)
    assert_refused(ended, ExitCode.FAILED, "is a file" if is_file else "must not be overwritten")
    assert files(place) == before


def test_every_command_with_an_output_is_held_to_it() -> None:
    writing = {
        name
        for name, command in commands().items()
        for option in command.params
        if isinstance(option, click.Option) and "FILE" in (option.metavar or "") and not READ & {*option.opts}
    }
    assert writing == {name.split()[0] for name in WRITERS}


def test_an_ordinary_file_is_replaced(place: Path, command: str) -> None:
    output = named(place, command, "out")
    if command != "export --partition":  # which writes a new folder
        output.write_text("old")

    assert write(place, command, output).code == ExitCode.DONE

    assert output.is_dir() or output.read_bytes() not in (b"", b"old")


@pytest.mark.parametrize("is_ours", [True, False])
def test_no_other_database_is_replaced(place: Path, command: str, is_ours: bool) -> None:
    other = named(place, command, "other")
    if is_ours:
        shutil.copy(place / "overviews.db", other)
    else:
        with closing(sqlite3.connect(other)) as db:
            db.execute("CREATE TABLE theirs (a)")

    assert_kept(place, command, other)


@pytest.mark.parametrize("left", [marker_path, daemon_lock_path])
def test_nothing_is_put_in_the_place_of_a_database_that_is_gone(
    place: Path, command: str, left: Callable[[Path], Path]
) -> None:
    gone = named(place, command, "gone")
    left(gone).write_bytes(b"")

    assert_kept(place, command, gone)


def test_no_file_of_another_database_is_replaced(place: Path) -> None:
    other = place / "other.db"
    shutil.copy(place / "overviews.db", other)

    for file in {*database_files(other), heartbeat_path(other), beside(other, ".told.json")}:
        assert_kept(place, "export", file)
        file.exists() or file.write_bytes(b"x")
        assert_kept(place, "export", file)


def test_the_database_that_is_read_is_not_replaced_by_whatever_name(place: Path, command: str) -> None:
    link = named(place, command, "link")
    link.symlink_to("overviews.db")

    assert_kept(place, command, link)


def test_the_configuration_in_use_is_not_replaced(place: Path, command: str) -> None:
    config, symbols, more, key = (named(place, command, name) for name in ("used", "symbols", "more", "key"))
    symbols.write_text("IBM\n")
    more.write_text("PEP\n")
    key.write_text(KEY)
    schedule = f'[[schedule]]\ncron = "0 0 * * *"\nsymbols_file = "{more.name}"\n'
    config.write_text(f'database = "overviews.db"\n[symbols]\nfile = "{symbols.name}"\n{schedule}')

    for used in (config, symbols, more, key):
        assert_kept(place, command, used, "--config", config.name, ALPHAVANTAGE_API_KEY_FILE=key.name)


@pytest.mark.parametrize("name", [".env", "config/pipeline.toml"])
@pytest.mark.parametrize("is_there", [True, False])
def test_neither_are_the_files_that_are_found_by_their_names(place: Path, name: str, is_there: bool) -> None:
    (place / name).write_text("") if is_there else (place / name).unlink(missing_ok=True)

    assert_kept(place, "export", place / name, "--database", "overviews.db")


def test_a_link_to_nothing_is_refused_and_no_folder_is_created(place: Path, command: str) -> None:
    link = named(place, command, "link")
    link.symlink_to(place / "not mounted" / link.name)
    before = files(place)

    assert_refused(write(place, command, link), ExitCode.FAILED, "leads nowhere", "not mounted")

    assert files(place) == before


@pytest.mark.parametrize("command", ["export", "datasette-metadata"])
def test_an_output_that_was_written_is_no_failure_under_whatever_name(place: Path, command: str) -> None:
    output = Path("absent", "..", "deep", "out.csv")

    ended = write(place, command, output)

    assert (ended.code, ended.err) == (ExitCode.DONE, "")
    assert ended.out.startswith(f"{output}: ")
    assert (place / "deep" / "out.csv").is_file()


@pytest.mark.process
def test_a_pipe_under_the_name_of_stdout_is_no_regular_file(place: Path) -> None:
    ended = run_shell(place, '"$PIPELINE" export --format csv --output /dev/stdout | cat; exit ${PIPESTATUS[0]}')
    assert_refused(ended, ExitCode.FAILED, "/dev/stdout is not a regular file", "stdout (-)")


def test_the_metadata_goes_to_stdout_for_a_dash_too(place: Path) -> None:
    assert call(place, "datasette-metadata", "--output", "-") == call(place, "datasette-metadata")
    assert not os.path.lexists(place / "-")
