"""What does an idle daemon cost?"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import report_progress
from benchmarks.report import Line

QUESTION = "Idle: a daemon of 5 symbols over two minutes, its next run far away, scraped once"
_SETTLING, _WATCHED = 15, 120
"""Seconds: for the first run, and for the measurement."""
_CONFIG = """
database = "overviews.db"
[source]
plan = "premium-75"
[schedule]
cron = "0 0 1 1 *"
catch_up_hours = 87600
[status]
listen = "127.0.0.1:0"
"""


def measure() -> Sequence[Line]:
    """Return its memory, and its share of a processor."""
    report_progress(f"idle: a daemon, for {_SETTLING + _WATCHED} s")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config").mkdir()
        Path(folder, "config", "pipeline.toml").write_text(_CONFIG)
        command = [str(Path(sys.executable).with_name("pipeline")), "run", "--sandbox", "--json"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as daemon:
            try:
                assert daemon.stderr is not None
                address = daemon.stderr.readline().partition('"address": "')[2].partition('"')[0]
                time.sleep(_SETTLING)  # for its first run
                urllib.request.urlopen(f"{address}/metrics", timeout=10).read()
                before = _cpu_seconds(daemon.pid)
                time.sleep(_WATCHED)  # nothing happens: that is measured
                used, megabytes = _cpu_seconds(daemon.pid) - before, _resident_megabytes(daemon.pid)
            finally:
                daemon.terminate()
    return [
        Line("memory, resident", f"{megabytes:.1f} MB", "≤ 70 MB", "the stand-in API in the same process included"),
        Line("processor", f"{used / _WATCHED:.3%}", "not measurable", f"{used:.2f} s of {_WATCHED} s"),
    ]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
