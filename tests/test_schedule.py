"""The schedule's line and zone: what crontab would take is taken, what never fires is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.schedule import ALIASES, check_cron, check_zone


@pytest.mark.parametrize(
    "line",
    ["30 18 * * mon-fri", "*/5 * * * *", "0 0 29 2 *", "0 0 31 * *", "0 0 30 2 mon", "0 0 L * *", "  0  9 * * 1  "],
)
def test_a_line_that_crontab_takes_is_taken(line: str) -> None:
    check_cron(line)


@pytest.mark.parametrize("line", [*ALIASES, "@DAILY", " @weekly "])
def test_the_names_that_crontab_has_for_lines_are_taken(line: str) -> None:
    check_cron(line)


@pytest.mark.parametrize(
    "line", ["", "* * * *", "* * * * * *", "60 * * * *", "0 24 * * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * sat#9", "x"]
)
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is no cron line"):
        check_cron(line)


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4 *", "0 0 31 feb,apr,jun,sep,nov *", "0 0 */30 2 1#5"])
def test_a_line_that_never_fires_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="never fires"):
        check_cron(line)


@pytest.mark.parametrize("line", ["60 0 30 2 *", "0 0 30 13 *", "0 0 30 2 */9x"])
def test_a_bad_field_is_named_even_beside_a_day_that_never_comes(line: str) -> None:
    with pytest.raises(ValueError, match="is no cron line: bad"):
        check_cron(line)


@given(st.text(st.sampled_from("0123456789*/-,#LWmonjafeb @"), max_size=20) | st.text(max_size=20))
def test_any_line_is_taken_or_refused(line: str) -> None:
    try:
        check_cron(line)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
    assert said == "" or repr(line) in said


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Europe/Berlin"])
def test_a_zone_of_the_iana_database_is_taken(name: str) -> None:
    check_zone(name)


@pytest.mark.parametrize(
    "name", ["", ".", "New York", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "a\0b", "x" * 400]
)
def test_what_is_no_zone_is_refused_with_one_that_is(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone: a name such as"):
        check_zone(name)


@given(st.text(max_size=20))
def test_any_name_is_a_zone_or_refused(name: str) -> None:
    try:
        check_zone(name)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
    assert said == "" or repr(name) in said
