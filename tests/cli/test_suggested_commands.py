"""Commands that a message suggests: pasted, they are about the same configuration and database."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pipeline.cli.app import COMMANDS
from pipeline.cli.commands.fleet import SUBCOMMANDS
from pipeline.cli.options import Options
from pipeline.errors import ExitCode
from tests.support.commands import call
from tests.support.observations import database_of, seen

NEED_NEITHER = {"fields", "init", "sandbox"}
"""They read no database, and no configuration."""


@pytest.mark.parametrize("command", [*COMMANDS, *(f"fleet {name}" for name in SUBCOMMANDS)])
def test_every_command_is_repeated_with_its_options(command: str) -> None:
    options = Options(config=Path("its.toml"), database=Path("my data/a.db"))

    repeated = options.repeated_in(f"see pipeline {command} --json, it says more")

    given = "" if command in NEED_NEITHER else " --config its.toml --database 'my data/a.db'"
    assert repeated == f"see pipeline {command}{given} --json, it says more"


@pytest.mark.parametrize(
    "text", ["pipeline doctor --deep --database FILE says more", "the pipeline runs-file", "overview pipeline", "a run"]
)
def test_other_text_stays(text: str) -> None:
    assert Options(database=Path("a.db")).repeated_in(text) == text


def test_without_options_nothing_is_added() -> None:
    assert Options().command("doctor") == "pipeline doctor"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a database with an observation of the far future, in a folder with a space in its name."""
    folder = tmp_path / "my data"
    folder.mkdir()
    return Path(shutil.copy(database_of([seen(0), seen(24 * 36_500)]), folder / "overviews.db"))


def test_what_the_doctor_suggests_works_when_it_is_pasted(folder: Path, elsewhere: Path) -> None:
    ended = call(folder, "doctor", "--quick", "--database", str(elsewhere))
    suggested = re.search(r"pipeline (correct .*) --shift STEP", ended.out)
    assert suggested is not None

    pasted = call(folder, *shlex.split(suggested[1]), "--remove", "--yes")

    assert pasted.code == ExitCode.DONE
    then = re.search(r"^next: pipeline (.*)$", pasted.out, re.MULTILINE)
    assert then is not None
    assert "in the future" not in call(folder, *shlex.split(then[1]), "--quick").out


def test_the_remedy_of_an_error_is_about_the_same_database(folder: Path, elsewhere: Path) -> None:
    ended = call(folder, "history", "NOPE", "--database", str(elsewhere))

    suggested = re.search(r"pipeline (symbols .* --all)", ended.err)
    assert suggested is not None
    assert call(folder, *shlex.split(suggested[1])).code == ExitCode.DONE
