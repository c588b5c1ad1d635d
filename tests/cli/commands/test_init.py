"""`pipeline init`: the configuration and .env that it creates."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.commands.init import crontab_line
from pipeline.errors import ExitCode
from tests.support.commands import assert_refused, call


def test_it_creates_a_configuration_that_loads_and_a_private_dotenv(tmp_path: Path) -> None:
    ended = call(tmp_path, "init")

    assert ended.code == 0
    assert "config/pipeline.toml: " in ended.out
    assert ".env: " in ended.out
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert call(tmp_path, "config").code == 0
    assert "the API key is empty" in call(tmp_path, "collect").err


def test_it_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text("# mine")
    (tmp_path / ".env").write_text("# mine too")

    ended = call(tmp_path, "init", "--json")

    assert ended.code == 0
    assert ended.json == {"written": []}
    assert (tmp_path / "config" / "pipeline.toml").read_text() == "# mine"
    assert (tmp_path / ".env").read_text() == "# mine too"


def test_it_says_that_the_threshold_cannot_hold(tmp_path: Path) -> None:
    long = {"PIPELINE_SYMBOLS__LIST": json.dumps([f"A{number}" for number in range(76)])}

    assert "stale_after_hours = 72 cannot hold" in call(tmp_path, "init", **long).out
    assert "at most 75 symbols" in call(tmp_path, "init", "--json", **long).json["problem"]
    assert "cannot hold" not in call(tmp_path, "init").out
    (tmp_path / "config" / "pipeline.toml").write_text("wrong")
    assert call(tmp_path, "init").code == ExitCode.DONE


def test_it_writes_where_the_configuration_will_be_read(tmp_path: Path) -> None:
    assert call(tmp_path, "--config", "a/b.toml", "init", "--json").json["written"] == ["a/b.toml", ".env"]
    assert call(tmp_path, "init", "--json", PIPELINE_CONFIG="c.toml").json["written"] == ["c.toml"]


def test_a_file_in_place_of_the_folder_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "config").touch()

    assert_refused(call(tmp_path, "init"), ExitCode.FAILED, "config/pipeline.toml cannot be written")


@pytest.mark.process
@pytest.mark.parametrize("name", ["overviews", "100% mine", "lat\udce9 100%'s"])
def test_the_crontab_line_works_with_nothing_in_the_environment(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    line = crontab_line(folder, Path(sys.executable))
    line.encode()

    minute, hour, day, month, weekday, command = line.split(maxsplit=5)
    unescaped = command.replace(r"\%", "%")  # as cron does
    ended = subprocess.run(
        ["/bin/sh", "-c", unescaped], env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip

    assert (minute, hour, day, month, weekday) == ("30", "18", "*", "*", "1-5")
    assert not re.search(r"(?<!\\)%", command)
    assert ended.returncode == ExitCode.REFUSED  # it ran: there is no key
    assert "no symbols" in ended.stderr or "API key" in ended.stderr


def test_it_prints_the_crontab_line_with_the_zone(tmp_path: Path) -> None:
    out = call(tmp_path, "init").out

    assert crontab_line(tmp_path.resolve(), Path(sys.executable)) in out
    assert re.search(r"zone, .*[+-]\d\d:\d\d", out)
