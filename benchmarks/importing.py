"""How fast does import read recordings?"""

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.documents import described
from benchmarks.processes import report_progress
from benchmarks.report import Line
from pipeline.model.symbols import Symbol
from pipeline.sandbox.companies import Companies

QUESTION = (
    "Import: 25,000 lines of 250 companies over 100 days, and the versions of 250 files that a repository has of them;"
    " lines or versions a second, without the start of the command"
)
_COMPANIES, _DAYS = 250, 100
_FIRST = date(2026, 1, 1)


def measure() -> list[Line]:
    """Return the rates of a file in order, of the same file again, and of one out of order."""
    report_progress("import: 25,000 lines, three times, and from two repositories")
    command = str(Path(sys.executable).with_name("pipeline"))
    with tempfile.TemporaryDirectory() as folder:
        lines = list(_lines())
        Path(folder, "days.jsonl").write_text("".join(lines), encoding="utf-8")
        random.Random(7).shuffle(lines)
        Path(folder, "mixed.jsonl").write_text("".join(lines), encoding="utf-8")

        for name, each in (("days.git", False), ("documents.git", True)):
            _make_repository(Path(folder, name), _lines(), a_commit_each=each)

        def imported(file: str, database: str) -> dict[str, Any]:
            what = [file] if file.endswith("jsonl") else ["--git", file, "--path", "data/{symbol}.json"]
            run = [command, "import", *what, "--database", database, "--json"]
            done: dict[str, Any] = json.loads(subprocess.check_output(run, cwd=folder, stderr=subprocess.DEVNULL))
            return done

        imports = [
            ("in order", "≥ 5,000", imported("days.jsonl", "a.db")),
            ("again, with nothing new", "", imported("days.jsonl", "a.db")),
            ("out of order", "", imported("mixed.jsonl", "b.db")),
            ("from git, a commit a day", "", imported("days.git", "c.db")),
            ("from git, a commit a document", "≥ 1,000", imported("documents.git", "d.db")),
        ]
    return [
        Line(
            what, f"{done['lines'] / done['seconds']:,.0f}", target, f"{done['stored']:,} stored in {done['seconds']} s"
        )
        for what, target, done in imports
    ]


def _lines() -> Iterator[str]:
    companies = Companies()
    covered = (symbol for symbol in companies.symbols if companies.document(symbol, _FIRST) is not None)
    symbols: Sequence[Symbol] = list(islice(covered, _COMPANIES))
    for number in range(_DAYS):
        day = _FIRST + timedelta(days=number)
        for symbol in symbols:
            document = companies.document(symbol, day)
            if document is not None:
                body = json.dumps(described(document), ensure_ascii=False, indent=4)
                yield json.dumps({"symbol": symbol, "observed_at": f"{day}T18:00:00Z", "body": body}) + "\n"


def _make_repository(folder: Path, lines: Iterator[str], *, a_commit_each: bool) -> None:
    """Make a bare git repository in which each document was written over the one before."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder], check=True)
    writing = ["git", "-C", str(folder), "fast-import", "--quiet", "--date-format=raw"]
    with subprocess.Popen(writing, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None, "opened with a pipe"
        last = ""
        for number, line in enumerate(lines):
            found = json.loads(line)
            if a_commit_each or found["observed_at"] != last:
                last = found["observed_at"]
                at = int(datetime.fromisoformat(last).timestamp()) + number % _COMPANIES
                process.stdin.write(f"commit refs/heads/main\ncommitter a <a> {at} +0000\ndata 0\n".encode())
            body = found["body"].encode()
            process.stdin.write(
                f"M 100644 inline data/{found['symbol']}.json\ndata {len(body)}\n".encode() + body + b"\n"
            )
