"""Rendering: pages from templates, which an upgrade under a running server does not change."""

from pathlib import Path

from pipeline.pages.rendering import environment


def test_templates_are_those_that_the_server_began_with(tmp_path: Path) -> None:
    for name in ("page.html", "later.html"):
        (tmp_path / name).write_text("{% extends 'base.html' %}{% block content %}oldé {{ x }}{% endblock %}", "utf-8")
    (tmp_path / "base.html").write_text("<p>{% block content %}{% endblock %}</p>", "utf-8")
    pages = environment(tmp_path)
    assert pages.get_template("page.html").render(x="<b>") == "<p>oldé &lt;b&gt;</p>"
    for file in tmp_path.iterdir():
        file.write_text("new", "utf-8")
    assert pages.get_template("later.html").render(x=1) == "<p>oldé 1</p>"
    assert pages.get_template("page.html").render(x=1) == "<p>oldé 1</p>"
