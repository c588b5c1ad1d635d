"""The drill: fields taken out of the catalogue before all recordings are imported, and promoted back under SIGKILL."""

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.store.database import DatabaseError, connect
from pipeline.store.migration_files import read_migrations
from pipeline.store.schema import HalfMigrated, check_schema
from tests.support.catalogues import ROOT, Tree, content, unused
from tests.support.recordings import RECORDINGS, needs_recordings

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(1_800), needs_recordings]

NEWEST = ("SharesFloat", "PercentInsiders", "PercentInstitutions")
"""What the API added last: 11 of the recorded documents have them."""
OF_EACH_KIND = (
    "Industry", "SharesOutstanding", "DividendPerShare", "ExDividendDate", "ForwardPE", "EVToEBITDA",
    "AnalystTargetPrice", "200DayMovingAverage",
)  # fmt: skip
"""What nearly all of them have."""
ARCHIVES = (("daily_2023_2025.jsonl.gz",), ("overviews.jsonl.gz", "--observed-at", "2025-11-01T00:00Z"))
ROUNDS = 4


def pipeline(tree: Path, *arguments: str, die_at: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line of a copy of this program, which SIGKILL ends at a statement if `die_at` says which."""
    program = f"""
from pipeline.cli.app import main
from tests.support.kills import die_at_statement
die_at_statement({die_at})
main()
"""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=tree, capture_output=True, text=True, check=False, timeout=600,
        env={"PATH": "", "HOME": str(tree), "PYTHONPATH": f"{tree}:{ROOT}"},
    )  # fmt: skip


def import_all(tree: Path, database: Path) -> None:
    """Import all recordings into a new database."""
    for name, *options in ARCHIVES:
        done = pipeline(tree, "import", str(RECORDINGS / name), *options, "--database", str(database))
        assert done.returncode == 0, done.stderr


def exported(tree: Path, database: Path) -> str:
    """Return every document as received."""
    return pipeline(
        tree, "export", "--original", "--output", "-", "--format", "jsonl", "--database", str(database)
    ).stdout


def every_answer(tree: Path, database: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.every_answer", str(database)], cwd=tree, capture_output=True, text=True,
        check=False, timeout=600, env={"PATH": "", "HOME": str(tree), "PYTHONPATH": f"{tree}:{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("out", "statements"), [(NEWEST, 120), (OF_EACH_KIND, 2_000)], ids=["the newest", "of each kind"]
)
def test_promoted_under_sigkill_the_database_answers_as_one_that_had_the_fields_from_the_start(
    out: tuple[str, ...], statements: int, tmp_path: Path
) -> None:
    """`statements`: at which one at most a kill comes; a transaction has fewer, as each row that is written is one."""
    whole, reduced = tmp_path / "whole.db", tmp_path / "reduced.db"
    import_all(ROOT, whole)
    tree = Tree(tmp_path / "tree", out)
    import_all(tree.folder, reduced)
    documents = exported(ROOT, whole)
    assert exported(tree.folder, reduced) == documents
    assert content(reduced)["snapshots"] != content(whole)["snapshots"]
    tree.put_back()
    written = tree.python("-m", "pipeline.store.catalogue_migration").strip()
    assert Path(written).parent == tree.migrations
    tree.own("pipeline/store/migrate.py", r"^TRANSACTION_ROWS = .*$", "TRANSACTION_ROWS = 100")
    tree.own("pipeline/store/migration_steps.py", r"^BATCH_ROWS = .*$", "BATCH_ROWS = 50")
    expected, answers = content(whole), every_answer(ROOT, whole)
    dice = random.Random(7)
    kills = 0
    for number in range(ROUNDS):
        promoted = Path(shutil.copy(reduced, tmp_path / f"promoted-{number}.db"))
        kills += migrate_under_fire(tree, promoted, lambda: dice.randrange(1, statements))
        assert content(promoted) == expected
        assert unused(promoted) <= unused(reduced)
        assert exported(tree.folder, promoted) == documents
    assert every_answer(tree.folder, promoted) == answers
    print(f"{len(answers):,} answers, {len(documents.splitlines()):,} documents, {kills} kills")
    assert kills >= 5 * ROUNDS


def migrate_under_fire(tree: Tree, database: Path, throw: Callable[[], int]) -> int:
    """Migrate with SIGKILL at statements at random, until it is done. Return the number of kills."""
    migrations = read_migrations(tree.migrations)
    kills = 0
    while True:
        done = pipeline(tree.folder, "migrate", "--no-backup", "--database", str(database), die_at=throw())
        if done.returncode == 0:
            return kills
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        with connect(database, "ro") as db:
            try:
                assert check_schema(db, database, migrations) in (len(migrations) - 1, len(migrations))
            except HalfMigrated:
                with pytest.raises(DatabaseError, match="newer"):
                    check_schema(db, database, migrations[:-1])
