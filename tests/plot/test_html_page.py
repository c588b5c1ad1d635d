"""Plots as pages: the values in full, and nothing from the network."""

import re
from pathlib import Path

from pipeline.plot.labels import SUSPICIOUS
from pipeline.plot.series import Series
from tests.support.plots import CAP, needs_matplotlib, pe, points, saved

pytestmark = needs_matplotlib


def test_a_page_loads_nothing_from_the_network_and_follows_the_readers_colours(tmp_path: Path) -> None:
    page = saved(tmp_path / "a.html", pe(1.0, 2.0, suspicious=[1])).decode()
    assert not re.search(r"""(?:src|href)="(?!#)|url\((?!#)|@import""", page)
    assert "prefers-color-scheme: dark" in page
    body = page[page.index("<body>") :]
    assert not re.search("#[0-9a-fA-F]{6}", body)  # each colour is a variable


def test_a_page_holds_every_value_exactly_newest_first(tmp_path: Path) -> None:
    caps = Series(CAP, points(2452637876000, 2452637876000, None))
    page = saved(tmp_path / "a.html", caps, pe(1.23456, 1.23456, 7.0, suspicious=[2])).decode()
    rows = re.findall("<tr>(<td.*)</tr>", page)
    assert [re.findall("<td[^>]*>([^<]*)</td>", row) for row in rows] == [
        ["2026-01-19 22:00:00", "2026-01-22 22:00:00", "-", "7"],
        ["2026-01-05 22:00:00", "2026-01-15 22:00:00", "2,452,637,876,000", "1.23456"],
    ]
    assert f'class="suspicious" title="{SUSPICIOUS}">7<' in page
