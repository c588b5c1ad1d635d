"""The level of a log line is that of what it says: an error that the run failed, a warning that a symbol did."""

import pytest
import structlog
from structlog.testing import capture_logs

from pipeline.collect.run import log_end
from tests.support.runs import BAD_KEY, QUOTA, SYMBOLS, Runs

NO_JSON = "no JSON"


@pytest.fixture(autouse=True)
def _every_level() -> None:
    """Log every level: a command that was called in this process has chosen its own."""
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        ([], "info"),
        ([QUOTA, QUOTA], "info"),
        ([NO_JSON], "warning"),
        ([NO_JSON, NO_JSON], "error"),
        ([BAD_KEY], "error"),
    ],
    ids=["complete", "quota_exhausted", "partial", "failed", "key refused"],
)
async def test_the_end_of_a_run_is_as_bad_as_its_status(runs: Runs, answers: list[str], level: str) -> None:
    for symbol, answer in zip(SYMBOLS, answers, strict=False):
        runs.served.api.says(symbol, answer, times=None)
    summary = await runs.collect(2)

    with capture_logs() as lines:
        log_end(summary)

    (line,) = lines
    assert (line["event"], line["log_level"], line["status"]) == ("run ended", level, summary.status)
    assert line.get("detail") == summary.detail


async def test_a_symbol_that_fails_is_a_warning_and_one_that_does_not_a_detail(runs: Runs) -> None:
    failed, rejected, covered = SYMBOLS[:3]
    runs.served.api.says(failed, "down", status=503, times=None)
    runs.served.api.says(rejected, NO_JSON)

    with capture_logs() as lines:
        await runs.collect(3)

    levels = {line["event"]: (line["log_level"], line["symbol"]) for line in lines if "symbol" in line}
    assert levels == {
        "symbol failed": ("warning", failed),
        "symbol rejected": ("warning", rejected),
        "symbol stored": ("debug", covered),
    }
