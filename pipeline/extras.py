"""Extras: optional packages, imported when they are needed; a missing one is reported with how to install it."""

import importlib
from types import ModuleType

from pipeline.errors import ExitCode, Trouble


class Missing(Trouble):
    """The configuration needs an extra that is not installed."""

    exit_code = ExitCode.REFUSED


def arrow() -> ModuleType:
    """Return `pipeline.query.arrow`. Raise Trouble if pyarrow is not installed."""
    return _needing_pyarrow("pipeline.query.arrow")


def parquet() -> ModuleType:
    """Return `pipeline.transfer.parquet`. Raise Trouble if pyarrow is not installed."""
    return _needing_pyarrow("pipeline.transfer.parquet")


def apprise() -> ModuleType:
    """Return the package that sends notifications. Raise Missing if it is not installed."""
    try:
        return importlib.import_module("apprise")
    except ImportError:
        raise Missing("PIPELINE_NOTIFY_URLS needs apprise: pip install apprise") from None


def _needing_pyarrow(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Trouble("Parquet needs pyarrow: pip install 'overview-pipeline[parquet]'") from None
