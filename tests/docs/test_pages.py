"""The documentation: its generated parts follow the code, and what it shows runs as printed."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.app import COMMANDS
from pipeline.query.questions import QUESTIONS
from tests.docs.generate import DOCS, ROOT, generated, pages
from tests.support.answerable import EXAMPLES

PAGES = list(pages())
SQL = [
    (page.name, query)
    for page in PAGES
    for query in re.findall(r"```sql\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
]
_TABLES = ("snapshots", "now", "was", "earlier", "profiles", "statements", "old", "new")
"""All but the symbols, of which there are thousands at most."""


def text_of(name: str) -> str:
    return next(page for page in PAGES if page.name == name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_follow_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generated(text) == text, "run: make docs"


@pytest.mark.parametrize(("page", "query"), SQL)
def test_every_query_runs_as_printed_and_has_an_answer(answerable: Path, page: str, query: str) -> None:
    with closing(sqlite3.connect(answerable)) as db:
        assert db.execute(query).fetchall()


def test_the_ten_questions_are_those_of_datasette_and_have_the_same_answers(answerable: Path) -> None:
    shown = [(found[1], query) for _, query in SQL if (found := re.match(r"-- \d+\. (.*)\n", query))]
    assert [title for title, _ in shown] == [question.title for question in QUESTIONS]
    with closing(sqlite3.connect(answerable)) as db:
        for (_, query), question in zip(shown, QUESTIONS, strict=True):
            literal, asked = db.execute(query), db.execute(question.sql, EXAMPLES)
            assert [column[0] for column in literal.description] == [column[0] for column in asked.description]
            assert literal.fetchall() == asked.fetchall(), question.name


@pytest.mark.parametrize(
    "query",
    [text for text in [*(query for _, query in SQL), *(one.sql for one in QUESTIONS)] if "observed_at <" in text],
)
def test_no_query_about_an_instant_scans_a_table(answerable: Path, query: str) -> None:
    with closing(sqlite3.connect(answerable)) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", EXAMPLES)]
    assert not [step for step in plan if step.startswith("SCAN") and step.split()[1] in _TABLES], plan


def test_the_readmes_python_runs_as_printed(
    answerable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", text_of("README.md"), flags=re.DOTALL)
    monkeypatch.chdir(answerable.parents[1])
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)

    assert "AAPL 33.0 1 day, 5:59:59.999000" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_every_page_is_linked_from_the_readme() -> None:
    linked = re.findall(r"\]\(docs/([^)#]+\.md)\)", text_of("README.md"))
    assert {*linked} == {page.name for page in DOCS.glob("*.md")}


def test_every_command_has_its_options_listed() -> None:
    page = text_of("cli.md")
    for command in COMMANDS:
        assert re.search(rf"^\| `{command}[ `]", page, flags=re.MULTILINE), command


def test_every_path_of_the_code_named_in_a_page_exists() -> None:
    for page in PAGES:
        for path in re.findall(
            r"`((?:pipeline|tests|deploy|migrations|config)/[\w./-]*)`", page.read_text(encoding="utf-8")
        ):
            assert (ROOT / path).exists(), (page.name, path)


def test_every_module_named_in_the_architecture_exists() -> None:
    page = text_of("architecture.md")
    rooms = {path.name for path in (ROOT / "pipeline").iterdir() if path.is_dir()}
    named = {path for path in re.findall(r"`([a-z_]+/[\w/]+)`", page) if path.partition("/")[0] in rooms}
    assert len(named) > 50
    for path in named:
        assert any((ROOT / "pipeline" / (path + end)).exists() for end in ("", ".py")), path


def test_every_module_named_as_a_place_for_changes_exists() -> None:
    table = text_of("architecture.md").partition("## Where a change belongs")[2].partition("\n## ")[0]
    for line in re.findall(r"^\| .* \| (.*) \|$", table, flags=re.MULTILINE):
        for path in re.findall(r"`([\w/.]+)`", line):
            assert any((folder / path).exists() for folder in (ROOT, ROOT / "pipeline")), path
