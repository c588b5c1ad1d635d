"""A browser: Debian's Chromium, driven by Playwright. Without either, the tests that need it are skipped, saying so."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

WIDTHS = (360, 800, 1440)
SCHEMES = ("light", "dark")
_HEIGHT = 900
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def _missing() -> str | None:
    if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        return "browser tests need playwright and axe-playwright-python, of the extra dev"
    return None if CHROMIUM else "browser tests need Chromium: apt-get install chromium"


def needs_browser(test: Any) -> Any:
    """Mark a test that starts a browser; it is skipped without one."""
    return pytest.mark.process(pytest.mark.skipif(_missing() is not None, reason=_missing() or "")(test))


@contextmanager
def browser() -> Iterator["Browser"]:
    """Run a browser while the block runs."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not everybody has it

    # In a container root has no sandbox, and /dev/shm is small.
    arguments = [
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-lcd-text",
        "--lang=en-GB",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def window(
    chromium: "Browser", base_url: str, *, width: int = 1440, scheme: str = "light", scripts: bool = True
) -> "Iterator[Page]":
    """Open a window while the block runs. Raise AssertionError for anything that the page complained of in it."""
    context = chromium.new_context(
        base_url=base_url,
        viewport={"width": width, "height": _HEIGHT},
        color_scheme=scheme,  # type: ignore[arg-type]
        java_script_enabled=scripts,
        locale="en-GB",
    )
    complaints: list[str] = []
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("console", lambda message: complaints.extend(_complaint(page, message)))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("requestfailed", lambda request: complaints.extend(_failure(page, request)))
    try:
        yield page
    finally:
        context.close()
    assert not complaints, complaints


def _complaint(page: "Page", message: "ConsoleMessage") -> Iterator[str]:
    is_status = message.text.startswith("Failed to load resource") and message.location["url"] == page.url
    if not is_status:  # a page that is refused says so itself
        yield f"{page.url}: {message.type}: {message.text}"


def _failure(page: "Page", request: "Request") -> Iterator[str]:
    if request.failure != "net::ERR_ABORTED":  # the window went on to another page
        yield f"{page.url}: {request.url}: {request.failure}"


def overflow(page: "Page") -> int:
    """Return by how many pixels the page is wider than its window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


_SHORTEN = """() => {
  const beyond = (parent, name, most) => [...parent.querySelectorAll(":scope > " + name)].slice(most);
  for (const table of document.querySelectorAll("table")) beyond(table, "tbody", 4).forEach((one) => one.remove());
  for (const body of document.querySelectorAll("tbody")) beyond(body, "tr", 12).forEach((one) => one.remove());
}"""


def shorten(page: "Page") -> None:
    """Take most rows out of the tables of a page: axe takes seconds for hundreds of rows that are alike."""
    page.evaluate(_SHORTEN)


def shortcomings(page: "Page", *rules: str) -> list[str]:
    """Return what axe finds serious or critical: the rule, and where. `rules`: only these; by default, all."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    options: dict[str, object] = {"resultTypes": ["violations"], "iframes": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = page.evaluate("options => axe.run(document, options).then(results => results.violations)", options)
    return [
        f"{one['id']}: {node['target']}: {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]
