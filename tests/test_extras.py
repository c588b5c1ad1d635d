"""Extras: a missing package is an error that names the pip command."""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import extras
from pipeline.errors import ExitCode, Trouble
from pipeline.extras import PACKAGES, Missing, installs

OURS = (
    "pipeline.fleet.connection",
    "pipeline.query.arrow",
    "pipeline.query.packed",
    "pipeline.query.pages",
    "pipeline.query.pandas_frame",
    "pipeline.query.polars_frame",
    "pipeline.transfer.parquet",
    "pipeline.plot.images",
)


def _fleet() -> None:
    with extras.fleet():
        from pipeline.fleet.connection import connected  # noqa: F401, PLC0415


@pytest.mark.parametrize(
    ("load", "package", "installed"),
    [
        (extras.arrow, "pyarrow", "'pyarrow>=18' 'numpy>=1.26'"),
        (extras.pandas, "pandas", "pandas"),
        (extras.polars, "polars", "polars"),
        (extras.parquet, "pyarrow", "'pyarrow>=18' 'numpy>=1.26'"),
        (extras.parquet, "numpy", "'pyarrow>=18' 'numpy>=1.26'"),
        (extras.images, "vl_convert", "'vl-convert-python>=1.9,<2'"),
        (extras.apprise, "apprise", "'apprise>=2.0'"),
        (_fleet, "psycopg", "'procrastinate>=3.10,<4' 'psycopg[binary,pool]>=3.2.10'"),
    ],
)
def test_a_missing_package_is_named_with_the_pip_command(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[], object], package: str, installed: str
) -> None:
    for module in OURS:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(Trouble) as missing:
        load()

    assert package.replace("_", "-") in missing.value.problem.lower()
    assert missing.value.remedy == f"pip install {installed}"


def test_a_package_that_the_configuration_needs_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(Missing) as missing:
        extras.apprise()

    assert missing.value.exit_code == ExitCode.REFUSED


def test_a_broken_module_of_the_program_is_not_reported_as_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vl_convert")
    monkeypatch.delitem(sys.modules, "pipeline.plot.images", raising=False)
    monkeypatch.setitem(sys.modules, "pipeline.plot.palette", None)

    with pytest.raises(ModuleNotFoundError, match=r"pipeline\.plot\.palette"):
        extras.images()


def test_the_packages_that_errors_name_are_those_of_the_extras() -> None:
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    extras_declared = declared["project"]["optional-dependencies"]
    assert {name: tuple(extras_declared[name]) for name in PACKAGES} == PACKAGES
    assert extras_declared.keys() - PACKAGES == {"dev", "fast"}
    assert installs("web") == "pip install 'jinja2>=3.1.5'"


@pytest.mark.parametrize("set_to", ["", "4", "64", "x", "\u0663", "9" * 5_000])
def test_any_number_of_threads_may_be_set(monkeypatch: pytest.MonkeyPatch, set_to: str) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", set_to)
    assert 1 <= extras._processors() <= 64
