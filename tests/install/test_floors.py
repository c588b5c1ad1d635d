"""What the floors in pyproject.toml are for, where no other test would miss a newer version."""

import json
import os
import subprocess
import sys
from codecs import BOM_UTF8
from pathlib import Path

import pytest


@pytest.mark.process
def test_a_byte_order_mark_is_no_part_of_the_first_name_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(BOM_UTF8 + b"PIPELINE_DATABASE=named-in-dotenv.db\n")
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    command = [str(Path(sys.executable).with_name("pipeline")), "config", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=True)

    values = {row["key"]: row["value"] for row in json.loads(done.stdout)}
    assert values["database"] == "named-in-dotenv.db"
