"""The recorded year: agents get for a past day what the real API had answered by then."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.model.document import Document
from tests.support.agents import Agent, record_of
from tests.support.observations import AFTER_ALL, recorded_database, recorded_year
from tests.support.recordings import needs_recordings

pytestmark = needs_recordings
DAY = "2023-09-29"
AT = datetime.fromisoformat(f"{DAY}T23:59:59.999+00:00")


@pytest.fixture(scope="module")
def recorded() -> Path:
    return recorded_database()


def newest(symbol: str, at: datetime) -> Document:
    """Return the last document of a company observed up to an instant."""
    seen = [one for one in recorded_year() if one.symbol == symbol and one.at <= at and one.document is not None]
    document = max(seen, key=lambda one: one.at).document
    assert document is not None
    return document


@pytest.mark.parametrize("lock", [None, AT])
async def test_a_past_value_is_the_one_that_was_received_then(recorded: Path, lock: datetime | None) -> None:
    agent = Agent(record_of(recorded, now=AFTER_ALL, lock=lock))
    expected = newest("MSFT", AT)
    assert expected["PERatio"] != newest("MSFT", AFTER_ALL)["PERatio"]

    answer = await agent("overview", at=DAY, symbols=["MSFT"], original=True)

    (one,) = answer["companies"]
    assert one["values"]["pe_ratio"] == float(expected["PERatio"])
    assert one["values"]["market_capitalization"] == int(expected["MarketCapitalization"])
    assert one["values"]["latest_quarter"] == expected["LatestQuarter"]
    assert json.loads(one["document"]) == expected
    assert (
        expected["PERatio"] != max((one for one in recorded_year() if one.symbol == "MSFT"), key=lambda one: one.at)[2]
    )


async def test_a_locked_server_ends_where_the_year_had_come_to(recorded: Path) -> None:
    agent = Agent(record_of(recorded, now=AFTER_ALL, lock=AT))

    status = await agent("status", at="now")
    versions = await agent("history", symbol="MSFT", until="now", limit=1, newest_first=True)
    panel = await agent("panel", until="now", since="2023-01-01", every="1mo", symbols=["MSFT"], fields=["PERatio"])

    assert status["last_observed_at"] <= status["locked_at"] == f"{DAY}T23:59:59.999Z"
    assert status["companies"] == len({one.symbol for one in recorded_year() if one.at <= AT and one.document})
    assert versions["versions"][0]["observed_at"] <= status["last_observed_at"]
    assert [one["at"][:10] for one in panel["cells"]][-1] == "2023-08-31"
