"""What the tests of the doctor share: sound settings of a sound database, and an examination of both."""

from datetime import datetime
from pathlib import Path

import pytest

from pipeline.doctor.checkup import findings
from pipeline.doctor.findings import Finding
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment
from pipeline.settings.load import Settings, load
from tests.support.checkups import KEYED, Examined
from tests.support.clocks import START


@pytest.fixture
def settings(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Sound settings of a sound database."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "pipeline.toml"
    config.write_text('[symbols]\nlist = ["AAPL"]')
    return load(config, Environment({}), database=database)


@pytest.fixture
def examined(settings: Settings) -> Examined:
    """Examine it all, and return the findings by what was checked."""

    def examine(variables: Environment = KEYED, *, now: datetime = START, thorough: bool = True) -> dict[Kind, Finding]:
        return {one.check: one for one in findings(settings, variables, now=now, thorough=thorough)}

    return examine
