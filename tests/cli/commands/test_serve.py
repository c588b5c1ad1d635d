"""`pipeline serve`: when it refuses to start, what it says, and how it ends."""

import json
import shutil
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from pipeline.errors import ExitCode
from pipeline.store.migrate import migrate
from tests.support.clocks import START
from tests.support.commands import assert_refused, call, finished, start
from tests.support.database import earlier_migrations

TOKEN = "correct-horse-battery-staple"
ANYWHERE = ("--listen", "0.0.0.0:0")


def test_an_older_database_is_refused_as_a_copy_would_not_grow(tmp_path: Path) -> None:
    database = tmp_path / "old.db"
    migrate(database, now=START, folder=earlier_migrations(tmp_path, 4))

    assert_refused(call(tmp_path, "serve", "--database", str(database)), ExitCode.FAILED, "pipeline migrate")


def test_beyond_this_machine_it_wants_a_token_or_a_word_that_none_is_needed(folder: Path, stored: Path) -> None:
    words = ("serve", "--database", str(stored), *ANYWHERE)

    assert_refused(call(folder, *words), ExitCode.REFUSED, "0.0.0.0:0", "PIPELINE_WEB_TOKEN", "web.allow_anonymous")
    assert_refused(call(folder, *words, PIPELINE_WEB_TOKEN="short"), ExitCode.REFUSED, "PIPELINE_WEB_TOKEN")


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "example.com:80"])
def test_an_address_that_is_none_is_a_usage_error(folder: Path, stored: Path, listen: str) -> None:
    assert_refused(call(folder, "serve", "--database", str(stored), "--listen", listen), ExitCode.USAGE, "--listen")


def test_a_lock_in_the_future_is_a_usage_error(folder: Path, stored: Path) -> None:
    words = ("serve", "--database", str(stored), "--as-of")
    for lock in ("2199-01-01", "2199-01-01T00:00Z"):
        assert_refused(call(folder, *words, lock), ExitCode.USAGE, "--as-of", "in the future", "now")
    assert_refused(call(folder, *words, "soon"), ExitCode.USAGE, "--as-of", "2026-03-14")


def test_an_address_in_use_ends_with_3(folder: Path, stored: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        for words, setting in ((("--listen", address), "--listen"), ((), "web.listen")):
            ended = call(folder, "serve", "--database", str(stored), *words, PIPELINE_WEB__LISTEN=address)
            assert_refused(ended, ExitCode.REFUSED, f"{setting}: ", address)


def test_without_its_packages_it_ends_with_3_and_names_them(
    folder: Path, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("pipeline.pages.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    needed = "pip install 'jinja2>=3.1.5'"

    assert_refused(call(folder, "serve", "--database", str(stored)), ExitCode.REFUSED, needed)
    refused = call(folder, "run", "--sandbox", "--database", "x.db", PIPELINE_WEB__LISTEN="127.0.0.1:0")
    assert refused.code == ExitCode.REFUSED
    assert needed in refused.err


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_without_a_configuration_until_it_is_stopped(
    tmp_path: Path, stored: Path, number: signal.Signals
) -> None:
    database = Path(shutil.copy(stored, tmp_path / "backup.db"))
    process = await start(tmp_path, "serve", "--database", str(database), *ANYWHERE, "--json", PIPELINE_WEB_TOKEN=TOKEN)
    assert process.stdout is not None
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        url = json.loads(await process.stdout.readuntil(b"}\n"))["url"].replace("0.0.0.0", "127.0.0.1")
        for path in ("/-/healthy", "/-/ready", "/metrics", "/api/v1/fields", "/fields"):
            async with session.get(f"{url}{path}") as response:
                assert response.status == 200, path
        async with session.get(f"{url}/metrics") as response:
            page = await response.text()
        process.send_signal(number)
        ended = await finished(process)

    assert "pipeline_snapshots_total 4.0" in page
    assert "pipeline_requests_total" not in page  # it sends none
    assert (ended.code, "Traceback" in ended.err) == (ExitCode.DONE, False)
    assert TOKEN not in ended.err + ended.out
    assert {path.name for path in tmp_path.iterdir()} <= {"backup.db", "backup.db-wal", "backup.db-shm"}
