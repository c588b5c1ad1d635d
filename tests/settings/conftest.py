"""What the tests of several modules of the settings need."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.settings.environment import Environment, with_dotenv
from pipeline.settings.load import Settings, load
from tests.support.configurations import Configured


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Load a configuration of this text, under these variables."""

    def read(text: str = "", **variables: str) -> Settings:
        path = tmp_path / "pipeline.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, Environment(variables))

    return read


@pytest.fixture
def dotenv(tmp_path: Path) -> Callable[..., Environment]:
    """Read a `.env` of this text that only its owner can read, below these variables."""

    def read(text: str, mode: int = 0o600, **variables: str) -> Environment:
        path = tmp_path / ".env"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return with_dotenv(variables, path)

    return read
