"""Pictures as pages: the values in full, nothing from the network, and only the scripts that the policy names."""

import json
import os
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.plot.html_page import html_page
from pipeline.plot.labels import SUSPICIOUS
from pipeline.plot.series import Plot
from tests.support.plots import ACME, BETA, HOSTILE, caps, compared, needs_pictures, pe, picture, plot, saved

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path fill="#ffffff" stroke="#0072b2"/></svg>'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def page(of: Plot) -> str:
    shown = picture(of)
    return html_page(svg=SVG, spec=shown.interactive, table=shown.table, script="draw()")


def test_a_page_loads_nothing_and_runs_only_the_script_that_its_policy_names() -> None:
    text = page(plot(pe(1.0, 2.0), name=HOSTILE))
    assert not re.search(r"""(?:src|href)="(?!#)|url\((?!#)|@import""", text)
    assert "prefers-color-scheme: dark" in text
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', text)
    digest = b64encode(sha256(b"draw()").digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert text.count("<script") == 2  # the script, and the data that it reads


def test_the_colours_of_the_still_picture_follow_the_reader() -> None:
    body = page(plot(pe(1.0, 2.0)))
    still = body[body.index("<svg") : body.index("</svg>")]
    assert not re.search("#[0-9a-fA-F]{6}", still)


def test_the_spec_in_a_page_is_whole_whatever_the_names_are() -> None:
    of = plot(pe(1.0, 2.0), name=HOSTILE)
    (data,) = re.findall('<script type="application/json" id="spec">(.*?)</script>', page(of))
    assert json.loads(data)["spec"] == picture(of).interactive


def test_a_page_holds_every_value_exactly_newest_first() -> None:
    rows = re.findall(
        "<tr>(<td.*)</tr>",
        page(plot(caps(2452637876000, 2452637876000, None), pe(1.23456, 1.23456, 7.0, suspicious=[2]))),
    )
    assert [re.findall("<td[^>]*>([^<]*)</td>", row) for row in rows] == [
        ["2026-01-19 22:00:00", "2026-01-22 22:00:00", "-", "7"],
        ["2026-01-05 22:00:00", "2026-01-15 22:00:00", "2,452,637,876,000", "1.23456"],
    ]
    assert f'title="{SUSPICIOUS}">7<' in rows[0]


def test_the_table_of_several_companies_says_whose_each_version_is() -> None:
    rows = re.findall("<tr>(<td.*)</tr>", page(compared(pe(1.0, 2.0), pe(None, 3.5, company=BETA))))
    assert [re.findall("<td[^>]*>([^<]*)</td>", row)[::3] for row in rows] == [
        ["ACME", "2"], ["BETA-B", "3.5"], ["ACME", "1"], ["BETA-B", "-"],
    ]  # fmt: skip


@needs_pictures
@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in")
def test_a_browser_without_network_draws_the_page_without_complaint(tmp_path: Path) -> None:
    saved(tmp_path / "a.html", pe(1.0, 4.0, None, 2.0, suspicious=[1]), caps(1e12, 2e12, 3e12, 2e12), name=HOSTILE)
    assert CHROMIUM is not None
    opened = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--dump-dom", str(tmp_path / "a.html")],
        capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert "CONSOLE" not in opened.stderr
    assert "vega-embed" in opened.stdout
    assert opened.stdout.count("mark-line") >= 4  # two panels, of a line for what is confirmed and one for the gaps
    assert ACME.symbol in opened.stdout
