"""`pipeline init`: create a configuration file and a .env to fill in."""

import os
import shlex
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from pipeline.cli.configuration import read_environment
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.errors import Trouble, file_reason
from pipeline.files import PRIVATE_FILE, creating, shipped
from pipeline.monitoring.threshold import check_threshold
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import DEFAULT_CONFIG, load, named_config
from pipeline.text import encodable

_CRONTAB_TIME = "30 18 * * 1-5"


@click.command(epilog=examples("mkdir overviews && cd overviews && pipeline init"))
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> None:
    """Create a commented configuration (config/pipeline.toml) and .env. Files that exist are left unchanged."""
    config = named_config(options.config, read_environment()) or DEFAULT_CONFIG
    created = {
        str(config): _create(config, _template("pipeline.toml", "config/pipeline.toml"), 0o644),
        ".env": _create(Path(".env"), _template("env.example", ".env.example"), PRIVATE_FILE),
    }
    problem = _threshold_problem(options)
    if as_json:
        noted = {} if problem is None else {"problem": problem}
        print_json({"written": [path for path, is_new in created.items() if is_new], **noted})
        return
    for path, is_new in created.items():
        print_line(f"{path}: {'created' if is_new else 'exists, left unchanged'}")
    if problem is not None:
        print_line(f"note: {problem}")
    print_line("next: put your key into .env and your symbols into the configuration, then run pipeline doctor")
    print_line(f"then: pipeline run, or this line for crontab -e (times in this machine's zone, {_zone()}):")
    print_line(crontab_line(Path.cwd(), Path(sys.executable)))


def _threshold_problem(options: Options) -> str | None:
    """Return why symbols must become stale with this configuration, if so. An invalid one is for the doctor to say."""
    with suppress(SettingsError):
        problem = check_threshold(load(options.config, read_environment(), database=options.database)).problem
        return None if problem is None else str(problem)
    return None


def crontab_line(folder: Path, python: Path) -> str:
    """Return the line with which cron collects, in a folder, as the Python that runs this program.

    With absolute paths: cron knows neither the user's PATH nor the folder. It reads % as the end of the command.
    """
    command = f"cd {_shell_word(folder)} && {_shell_word(python)} -m pipeline collect -q"
    return f"{_CRONTAB_TIME}  " + command.replace("%", r"\%")


def _shell_word(path: Path) -> str:
    """Return a path as the shell takes it: one that is not UTF-8, which no terminal could show, by its bytes."""
    name = str(path)
    if name == encodable(name):
        return shlex.quote(name)
    return "\"$(printf '{}')\"".format("".join(f"\\{byte:03o}" for byte in os.fsencode(path)))


def _zone() -> str:
    """Return the time zone that cron uses, such as `CET +01:00`."""
    now = datetime.now().astimezone()  # this machine's local time, which cron follows
    return f"{now:%Z} {now.isoformat()[-6:]}"


def _template(in_wheel: str, in_checkout: str) -> str:
    return shipped(f"config/{in_wheel}", in_checkout).read_text(encoding="utf-8")


def _create(path: Path, text: str, mode: int) -> bool:
    """Create the file and return True, or return False if it exists. Raise Trouble if it cannot be created."""
    try:
        with creating(path, mode=mode) as file:
            file.write(text.encode())
    except OSError as error:
        if isinstance(error, FileExistsError) and path.is_file():
            return False
        if path.is_symlink() and isinstance(error, FileExistsError):
            raise Trouble(f"{path} is a link that leads to no file", remedy="remove it, or create that file") from None
        raise Trouble(f"{path} cannot be written: {file_reason(error)}") from None
    return True
