"""docs/http.md: the examples of programs run as printed, against a server."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from pipeline.rest.openapi import document
from pipeline.rest.routes import ENDPOINTS
from tests.docs.generate import DOCS
from tests.support.beside import beside
from tests.support.site import served

WHOLE = (DOCS / "http.md").read_text(encoding="utf-8")
PAGE = WHOLE.partition("### From programs\n")[2].partition("\n#")[0]
SERVER = "http://127.0.0.1:8080"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(name="url")
def _url(answerable: Path) -> Iterator[str]:
    with beside(lambda: served(answerable)) as client:
        yield client.url


@pytest.mark.process
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_each_line_of_curl_is_answered(url: str, tmp_path: Path) -> None:
    lines = [line for example in examples("sh") for line in example.splitlines() if line.startswith("curl")]
    answers = [_output(["sh", "-c", line.replace(SERVER, url)], tmp_path) for line in lines]
    assert all("-fsS" in line for line in lines)  # else an error is saved as if it were the answer
    assert len(answers) == 4
    assert all("AAPL" in answer for answer in answers[:3])
    assert (tmp_path / "panel.parquet").read_bytes().startswith(b"PAR1")


def test_each_status_of_a_refusal_is_listed_with_what_to_do() -> None:
    listed = {int(one) for one in re.findall(r"^\| (\d{3}) \|", WHOLE, flags=re.MULTILINE)}
    paths = document(ENDPOINTS, "")["paths"].values()
    answered = {int(status) for path in paths for status in path["get"]["responses"]}
    assert {status for status in answered if status >= HTTPStatus.BAD_REQUEST} <= listed


@pytest.mark.parametrize("example", examples("python"))
def test_each_example_in_python_runs_as_printed(url: str, example: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "pandas" in example:
        pytest.importorskip("pyarrow")
    exec(compile(example.replace(SERVER, url), "docs/http.md", "exec"), {})
    assert "33" in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not on this machine")
def test_each_example_in_r_runs_as_printed(url: str, tmp_path: Path) -> None:
    (example,) = examples("r")
    out = _output(["Rscript", "--vanilla", "-e", example.replace(SERVER, url)], tmp_path)
    assert re.search(r"AAPL +33 2026-03-13 18:00:00", out)


def _output(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True, timeout=60).stdout
