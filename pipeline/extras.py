"""Extras: what is installed only where it is wanted, and takes its time to load."""

from types import ModuleType

from pipeline.outcome import ExitCode, Trouble


class Missing(Trouble):
    """A configuration that wants an extra which is not installed."""

    exit_code = ExitCode.REFUSED


def parquet() -> ModuleType:
    """Return the module that speaks Arrow and Parquet. Raise Trouble where the extra that it needs is not installed."""
    try:
        from pipeline import parquet as module  # noqa: PLC0415 - an optional extra, and 0.2 s to import
    except ImportError:
        raise Trouble("Parquet needs pyarrow: pip install 'overview-pipeline[parquet]'") from None
    return module


def apprise() -> ModuleType:
    """Return the module that sends notifications. Raise Missing where it is not installed."""
    try:
        import apprise as module  # noqa: PLC0415 - an optional extra, and a second to import
    except ImportError:
        raise Missing("PIPELINE_NOTIFY_URLS needs apprise: pip install apprise") from None
    return module
