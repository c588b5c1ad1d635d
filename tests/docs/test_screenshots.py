"""The screenshots: each is small, and shown in the documentation with a text for those who cannot see it."""

import re

from tests.docs.screenshots import IMAGES, LARGEST, shots


def test_each_screenshot_is_small_and_shown_with_a_text() -> None:
    names = {f"{shot.name}.png" for shot in shots("ANY")}
    assert {path.name for path in IMAGES.iterdir()} == names
    assert all(path.stat().st_size < LARGEST for path in IMAGES.iterdir())
    page = (IMAGES.parent / "http.md").read_text(encoding="utf-8")
    assert set(re.findall(r"!\[[^\]]{20,}\]\(images/([\w.-]+)\)", page)) == names
