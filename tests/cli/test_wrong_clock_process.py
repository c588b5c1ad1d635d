"""Wrong clocks, as processes see them: what `docs/guarantees.md` promises where nothing confirms the clock."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.quota.limits import Limit
from pipeline.sandbox.server import SandboxApi
from tests.support.beside import beside
from tests.support.commands import KEY, call, run
from tests.support.companies import COMPANIES
from tests.support.wrong_clocks import wrong_clock

pytestmark = pytest.mark.process

PLAN = "5/day"
DAY, YEAR = timedelta(days=1), timedelta(days=365)
SYMBOLS = ["QUA", "QUB", "QUC", "QUD", "QUE", "QUF", "QUG", "QUH"]
CONFIG = """
[symbols]
list = {symbols}
[source]
limits = ["{plan}"]
base_url = "{url}"
"""


class Undated(SandboxApi):
    """Sends an empty `Date`, until it is told to say the time."""

    def __init__(self) -> None:
        self.date: Callable[[], datetime | None] = lambda: None
        super().__init__(
            companies=COMPANIES,
            limits=[Limit.parse(PLAN)],
            day=lambda: date(2026, 3, 13),
            wall=lambda: self.date(),  # noqa: PLW0108 - it may be replaced
        )
        for symbol in SYMBOLS:
            self.knows(symbol, {"Symbol": symbol})


@asynccontextmanager
async def _serving(api: Undated) -> AsyncIterator[str]:
    async with api.serve() as base_url:
        yield base_url


@pytest.fixture
def undated(folder: Path) -> Iterator[Undated]:
    api = Undated()
    with beside(lambda: _serving(api)) as url:
        (folder / "config" / "pipeline.toml").write_text(CONFIG.format(symbols=json.dumps(SYMBOLS), plan=PLAN, url=url))
        yield api


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix(" UTC"))


def test_a_year_ahead_frees_nothing_and_is_said_and_can_be_corrected(folder: Path, undated: Undated) -> None:
    ahead = wrong_clock(YEAR)
    first = call(folder, "collect", "--max-requests", "3", ALPHAVANTAGE_API_KEY=KEY)
    wrong = [run(folder, "collect", "--quiet", stdin=b"", **ahead) for _ in range(2)]

    assert {one.code for one in (first, *wrong)} == {ExitCode.QUOTA}
    assert (undated.requests, undated.refused) == (5, 0)
    for ended in wrong:
        line = json.loads(ended.err.splitlines()[0])
        assert line["event"].startswith("the clock is not confirmed")
        assert (_instant(line["clock"]) - _instant(line["uptime"])).days == YEAR.days

    undated.date = utc_now
    right = call(folder, "collect", ALPHAVANTAGE_API_KEY=KEY)
    doctor = call(folder, "doctor", "--quick", ALPHAVANTAGE_API_KEY=KEY)

    assert right.code == ExitCode.QUOTA
    assert (undated.requests, undated.refused) == (5, 0)
    assert doctor.code == ExitCode.FAILED
    assert "pipeline correct" in doctor.out


def test_the_sandbox_in_the_process_has_its_wrong_clock_and_one_beside_it_has_not(
    folder: Path, undated: Undated
) -> None:
    """What docs/cli.md says of `--sandbox`."""
    undated.date = utc_now
    ahead = wrong_clock(DAY)

    within = run(folder, "collect", "--sandbox", "--latency", "0", "QUA", stdin=b"", **ahead)
    beside_it = run(folder, "collect", "QUA", stdin=b"", **ahead)

    assert within.code == ExitCode.DONE
    assert beside_it.code == ExitCode.FAILED
    assert "this machine's clock shows" in beside_it.out
    assert "set the clock" in beside_it.out
