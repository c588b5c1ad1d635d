import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pipeline.monitoring import heartbeat
from pipeline.monitoring.heartbeat import FRESH_FOR, DaemonState, Heartbeat
from tests.support.clocks import START
from tests.support.disk import no_file_larger_than
from tests.support.monitoring import BEAT, HEARTBEAT_KEYS


def test_a_heartbeat_that_was_written_is_read(tmp_path: Path) -> None:
    heartbeat.write(tmp_path / "o.db", BEAT)

    assert heartbeat.read(tmp_path / "o.db") == BEAT
    assert [path.name for path in tmp_path.iterdir()] == ["o.db.heartbeat.json"]
    assert stat.S_IMODE((tmp_path / "o.db.heartbeat.json").stat().st_mode) == 0o600


EARLIER = (
    b'{"pid":7,"started_at":"2026-03-14T18:30:00.000Z","at":"2026-03-14T18:31:00.000Z","state":"waiting","run":null,'
    b'"hindrance":"another process collects","next_fire":"2026-03-15T18:30:00.000Z",'
    b'"continues_at":"2026-03-15T00:00:00.000Z","last_run":3,"last_status":"partial","silent_seconds":0.5,'
    b'"refused":"pipeline.toml: source.plan: no such plan","timer_restarts":2}'
)
"""A heartbeat as it was written when Python knew these values by the names of the keys."""
BLOCKED = Heartbeat(
    pid=7,
    started_at=datetime(2026, 3, 14, 18, 30, tzinfo=UTC),
    at=datetime(2026, 3, 14, 18, 31, tzinfo=UTC),
    state=DaemonState.WAITING,
    blocked_by="another process collects",
    next_fire=datetime(2026, 3, 15, 18, 30, tzinfo=UTC),
    resumes_at=datetime(2026, 3, 15, tzinfo=UTC),
    last_run=3,
    last_status="partial",
    silent_seconds=0.5,
    refused="pipeline.toml: source.plan: no such plan",
    timer_restarts=2,
)


def test_a_name_that_is_not_utf_8_is_written_escaped(tmp_path: Path) -> None:
    refused = msgspec.structs.replace(BEAT, refused="lat\udce9.toml: invalid TOML")

    heartbeat.write(tmp_path / "o.db", refused)

    read = heartbeat.read(tmp_path / "o.db")
    assert read is not None
    assert read.refused == r"lat\udce9.toml: invalid TOML"


def test_the_keys_of_the_file_are_stable(tmp_path: Path) -> None:
    heartbeat.write(tmp_path / "o.db", BEAT)

    content = json.loads((tmp_path / "o.db.heartbeat.json").read_bytes())

    assert list(content) == HEARTBEAT_KEYS


def test_an_earlier_version_and_this_one_read_each_others_file(tmp_path: Path) -> None:
    file = tmp_path / "o.db.heartbeat.json"
    file.write_bytes(EARLIER)

    assert heartbeat.read(tmp_path / "o.db") == BLOCKED
    heartbeat.write(tmp_path / "o.db", BLOCKED)
    assert file.read_bytes() == EARLIER


def test_it_lies_beside_the_database_by_whatever_link_that_is_reached(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "o.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "o.db")

    heartbeat.write(tmp_path / "link.db", BEAT)

    assert heartbeat.read(tmp_path / "real" / "o.db") == BEAT


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe", b'{"pid": 1}'])
def test_a_damaged_heartbeat_is_an_error_that_names_its_file(tmp_path: Path, content: bytes) -> None:
    file = heartbeat.heartbeat_path(tmp_path / "o.db")
    file.write_bytes(content)
    with pytest.raises(heartbeat.DamagedHeartbeat, match=file.name):
        heartbeat.read(tmp_path / "o.db")


def test_without_a_file_there_is_no_heartbeat(tmp_path: Path) -> None:
    assert heartbeat.read(tmp_path / "o.db") is None


def test_one_that_cannot_be_written_leaves_the_last_one_and_nothing_beside_it(tmp_path: Path) -> None:
    heartbeat.write(tmp_path / "o.db", BEAT)

    with no_file_larger_than(10), pytest.raises(OSError, match="too large"):
        heartbeat.write(tmp_path / "o.db", BEAT)

    assert [path.name for path in tmp_path.iterdir()] == ["o.db.heartbeat.json"]
    assert heartbeat.read(tmp_path / "o.db") == BEAT


def test_it_is_fresh_for_three_beats_and_not_if_it_comes_from_the_future() -> None:
    assert BEAT.is_fresh(START + FRESH_FOR)
    assert not BEAT.is_fresh(START + FRESH_FOR + timedelta(milliseconds=1))
    assert not BEAT.is_fresh(START - timedelta(hours=1))
