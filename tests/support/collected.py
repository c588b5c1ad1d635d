"""A folder with a configuration, a sandbox database that was collected into twice, and no real one."""

import csv
import json
from io import StringIO
from pathlib import Path

from tests.support.commands import Ended, call


class Collected:
    """A folder in which the sandbox was collected on two days, without limits."""

    def __init__(self, folder: Path) -> None:
        (folder / "config").mkdir()
        self.folder = folder
        listing = list(csv.DictReader(StringIO(self("sandbox", "--listing").out)))
        self.names = [row["symbol"] for row in listing if row["assetType"] == "Stock"][:12]
        self.fund = next(row["symbol"] for row in listing if row["assetType"] == "ETF")  # which the API does not cover
        symbols = json.dumps([*self.names, self.fund])
        (folder / "config" / "pipeline.toml").write_text(f"database = 'data/real.db'\n[symbols]\nlist = {symbols}")
        self.first = self("-v", "collect", "--sandbox", "--latency", "0", "--day", "2026-03-13", "--json")
        self.second = self("collect", "--sandbox", "--latency", "0")

    def __call__(self, *arguments: str, **variables: str) -> Ended:
        """Call a command in the folder."""
        return call(self.folder, *arguments, **{"PIPELINE_SOURCE__LIMITS": "[]", **variables})

    def at_sandbox(self, *arguments: str, **variables: str) -> Ended:
        """Call a command on the database that was collected into."""
        return self("--database", "data/sandbox.db", *arguments, **variables)

    def backup(self, path: Path) -> Path:
        """Return a copy of that database, which a test may change."""
        assert self.at_sandbox("backup", str(path)).code == 0
        return path
