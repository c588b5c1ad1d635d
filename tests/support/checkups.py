"""What the tests of the doctor share: an examination of sound settings, and a few findings to expect."""

from collections.abc import Callable

from pipeline.doctor.findings import Finding, exit_code
from pipeline.errors import Trouble
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import API_KEY, Environment

BAD_LINE = Trouble(".env: line 1 is ignored", remedy="write NAME=value")
KEYED = Environment({API_KEY: "S3CR3TK3YOFOURS1"})

Examined = Callable[..., dict[Kind, Finding]]


def code(found: dict[Kind, Finding]) -> int:
    return exit_code(found.values())
