"""`pipeline config`: every setting with its origin, and no secret."""

from collections.abc import Callable
from pathlib import Path

from tests.support.commands import KEY, call


def test_every_value_is_shown_with_its_origin(folder: Path, configure: Callable[[str], object]) -> None:
    configure("[collect]\nattempts = 5\n")
    (folder / ".env").write_text("PIPELINE_SOURCE__PLAN=premium-75\n")
    (folder / ".env").chmod(0o600)

    rows = call(folder, "config", "--json", PIPELINE_COLLECT__WAIT_SECONDS="7").json

    came = {row["key"]: (row["value"], row["origin"]) for row in rows}
    assert came["collect.attempts"] == (5, "config/pipeline.toml")
    assert came["source.plan"] == ("premium-75", ".env: PIPELINE_SOURCE__PLAN")
    assert came["collect.wait_seconds"] == (7, "PIPELINE_COLLECT__WAIT_SECONDS")
    assert came["keep.outcomes_days"] == (400, "default")
    assert came["api_key"] == (None, "not set")


def test_no_limits_are_not_shown_as_not_set(folder: Path, configure: Callable[[str], object]) -> None:
    configure("[source]\nlimits = []\n")

    shown = dict(line.split()[:2] for line in call(folder, "config").out.splitlines())

    assert (shown["source.limits"], shown["source.proxy"]) == ("[]", "-")


def test_the_key_is_masked_and_its_origin_shown(folder: Path) -> None:
    (folder / "key").write_text(KEY)

    row = call(folder, "config", "--json", ALPHAVANTAGE_API_KEY="", ALPHAVANTAGE_API_KEY_FILE="key").json[-1]

    assert row == {"key": "api_key", "value": "*** (16 characters)", "origin": "ALPHAVANTAGE_API_KEY_FILE"}


def test_each_named_key_and_the_url_of_the_fleet_are_masked(folder: Path, configure: Callable[[str], object]) -> None:
    configure('[fleet]\nname = "north"\n[[fleet.keys]]\nname = "main"\n[[fleet.keys]]\nname = "second"\n')
    url = f"postgresql://me:{KEY}@db/fleet"

    rows = call(folder, "config", "--json", ALPHAVANTAGE_API_KEY_MAIN=KEY, PIPELINE_FLEET_URL=url).json

    came = {row["key"]: (row["value"], row["origin"]) for row in rows}
    assert came["fleet.name"] == ("north", "config/pipeline.toml")
    assert came["fleet.keys[2].name"] == ("second", "config/pipeline.toml")
    assert came["fleet.keys[2].plan"] == ("free", "default")
    assert came["fleet_url"] == (f"*** ({len(url)} characters)", "PIPELINE_FLEET_URL")
    assert came["api_key.main"] == ("*** (16 characters)", "ALPHAVANTAGE_API_KEY_MAIN")
    assert came["api_key.second"] == (None, "not set")


def test_without_a_configuration_the_database_is_in_the_users_data_folder(tmp_path: Path) -> None:
    rows = call(tmp_path, "config", "--json", XDG_DATA_HOME=str(tmp_path / "share")).json

    assert rows[0]["value"].startswith(str(tmp_path))
    assert rows[0]["origin"] == "default: no configuration file"
