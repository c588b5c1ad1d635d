"""Plots as files: which formats there are, and that a file is whole."""

import sys
from pathlib import Path

import pytest

from pipeline.errors import Trouble
from pipeline.plot.save import FORMATS
from tests.support.plots import needs_pictures, pe, saved


@pytest.mark.parametrize("name", ["a.gif", "a", "svg", "a.svg.gz"])
def test_an_unknown_format_is_refused_and_the_known_ones_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(Trouble) as refused:
        saved(tmp_path / name, pe(1.0, 2.0))
    assert str(tmp_path / name) in str(refused.value)
    assert all(suffix in str(refused.value.remedy) for suffix in FORMATS)
    assert list(tmp_path.iterdir()) == []


def test_without_vl_convert_the_error_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("pipeline.plot.images", raising=False)
    monkeypatch.delitem(sys.modules, "pipeline.plot.images", raising=False)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(Trouble) as missing:
        saved(tmp_path / "a.svg", pe(1.0, 2.0))
    assert "vl-convert" in missing.value.problem
    assert missing.value.remedy == "pip install 'vl-convert-python>=1.9,<2'"
    assert list(tmp_path.iterdir()) == []


@needs_pictures
def test_a_missing_folder_is_refused_and_not_created(tmp_path: Path) -> None:
    (tmp_path / "link.svg").symlink_to(tmp_path / "absent" / "a.svg")
    for file in (tmp_path / "absent" / "a.svg", tmp_path / "link.svg"):
        with pytest.raises(Trouble) as refused:
            saved(file, pe(1.0, 2.0))
        assert str(tmp_path / "absent" / "a.svg") in refused.value.problem
        assert str(tmp_path / "absent") in str(refused.value.remedy)
        assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["link.svg"]


@needs_pictures
def test_an_older_file_is_replaced_and_a_failure_names_the_file_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("old")
    assert saved(tmp_path / "a.svg", pe(1.0, 2.0)).startswith(b"<svg ")
    with pytest.raises(Trouble, match=r"a\.svg/b\.svg cannot be written: \w+"):
        saved(tmp_path / "a.svg" / "b.svg", pe(1.0))
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(Trouble, match=r"folder\.svg is a folder"):
        saved(tmp_path / "folder.svg", pe(1.0))
