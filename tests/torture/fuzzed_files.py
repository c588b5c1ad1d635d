"""Decoders of files: archives and tables of users, the configuration, and the program's own small files."""

import asyncio
import fcntl
import gzip
import io
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path, PurePath

from pipeline.cli.commands import panel
from pipeline.errors import Trouble, Undecodable
from pipeline.instants import to_text
from pipeline.model.fields import find_fields
from pipeline.model.symbols import Symbol
from pipeline.monitoring import heartbeat
from pipeline.monitoring.checks import daemon_problem
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.reporter import Reporter
from pipeline.monitoring.status import Scope
from pipeline.query.join import JoinError, Joining
from pipeline.query.known import Known
from pipeline.settings.config_file import read_config
from pipeline.settings.environment import Environment, with_dotenv
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import load
from pipeline.settings.symbol_files import read_symbol_file
from pipeline.store.lock import Busy, hold_lock, lock_path
from pipeline.store.marker import marker_path, read_marker, record_gone, write_marker
from pipeline.store.older_copy import is_behind
from pipeline.store.reader import open_for_reading
from pipeline.transfer import git_history
from pipeline.transfer.archives import check_archives, parts, read_archive
from pipeline.transfer.entries import Problem, Received, RecordedResponse
from pipeline.transfer.git_log import read_log
from pipeline.transfer.joining import join_csv, join_jsonl
from pipeline.transfer.json_collections import items
from pipeline.transfer.look_ahead import LookAhead, glances
from pipeline.transfer.name_patterns import NamePattern
from pipeline.transfer.streams import open_stream
from tests.support.clocks import START
from tests.support.commands import KEY
from tests.support.monitoring import EMPTY
from tests.support.observations import database_of, empty_database, seen
from tests.torture.decoder import OPEN, Decoder, Wrong, scratch, shows_key
from tests.torture.fuzzed_documents import ANSWER

_LINE = (
    b'{"symbol": "IBM", "observed_at": "2026-01-14T18:30:00Z", "status": 200, "looks": ["2026-01-15T18:30:00Z"],'
    b' "document": {"Symbol": "IBM", "EPS": "1.5", "New": 1.10}}\n'
)
_BODY = b'{"symbol": "IBM", "observed_at": "2026-01-14T18:30:00Z", "body": "{\\"Symbol\\": \\"IBM\\"}"}\n'
_ARRAY = b'[{"Symbol": "IBM", "EPS": "1.5"}, {"Symbol": "AAPL"}, {}]'
_KEYED = b'{"updated": "2026-03-14", "data": {"IBM": {"Symbol": "IBM"}, "AAPL": {"Note": "wait"}, "PEP": {}}}'
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"
_NAMES = (
    b"{date}/{symbol}.json\noverviews/2026-03-14/IBM.json",
    b"{symbol}_{time}*.json\nBRK-B_20260314T183000Z_x.json",
    b"*-{symbol}/{date}.*\nx-IBM/2026-03-14.json.gz",
)
"""Patterns, each with a path that it matches."""
_CSV = b'symbol,time,note\r\nIBM,2026-03-15,"a ""b"""\nPEP,2026-03-15T18:30:00+01:00,\n'
_ROWS = b'{"symbol": "IBM", "time": "2026-03-15T18:30Z", "n": [1.0]}\n{"symbol": null, "time": "2026-03-15"}\n'
_CONFIG = b"""
database = "o.db"
[symbols]
list = ["AAPL"]
renamed = { FB = "META" }
[source]
limits = ["25/day"]
timeout_seconds = 30
[[schedule]]
cron = "30 18 * * 1-5"
catch_up_hours = 12
"""
_BEAT = (
    b'{"pid":7,"started_at":"2026-03-14T18:30:00.000Z","at":"2026-03-14T18:31:00.000Z","state":"waiting","run":null,'
    b'"hindrance":"another process collects","next_fire":"2026-03-15T18:30:00.000Z","continues_at":null,"last_run":3,'
    b'"last_status":"partial","silent_seconds":0.5,"refused":null,"timer_restarts":2}'
)
_REPORTED = (
    b'{"courses":[["stale","AAPL",0,1,true],["run_failed","",1,2,false]],"events":[["crash","x"],["suspicion","y"]],'
    b'"unsent":[{"title":"t","body":"b","severity":"failure"}]}'
)
_VARIABLES = (
    b'PIPELINE_SYMBOLS__LIST=["AAPL", "MSFT"]', b'PIPELINE_SYMBOLS__RENAMED={"FB": "META"}',
    b'PIPELINE_SOURCE__LIMITS=["25/day"]', b"PIPELINE_SOURCE__CONCURRENCY=4", b"PIPELINE_SOURCE__TIMEOUT_SECONDS=30",
    b"PIPELINE_SOURCE__BASE_URL=https://a.example/query", b"PIPELINE_COLLECT__RESUME=true",
    b"PIPELINE_STATUS__LISTEN=127.0.0.1:8080", b"PIPELINE_DATABASE=overviews.db", b"PIPELINE_SCHEDULE__CRON=@daily",
    b"PIPELINE_KEEP__OUTCOMES_DAYS=30",
)  # fmt: skip
_LINE_BOMB, _FILE_BOMB = (
    gzip.compress(b'{"Symbol": "IBM", "Name": "') + gzip.compress(b"x" * 2_000_000, 9) * times for times in (8, 24)
)
"""Files of a few kB that are one line of 16 MB, which a reader passes over, and 48 MB, which no reader takes whole."""

_FEW = 4
"""Cases of a turn of what writes files, or many rows."""
_LONGEST_LINE = 1_000
"""Characters of what is said to people."""


def _archive(name: str, content: bytes) -> None:
    path = scratch() / name
    path.write_bytes(content)
    for observed_at in (START, None):
        with suppress(Trouble):
            check_archives([path], observed_at)
        for entry in read_archive(path, observed_at=observed_at, now=START, on_read=lambda _bytes: None):
            if not isinstance(entry, RecordedResponse | Problem):
                raise Wrong(f"an entry of type {type(entry).__name__}")
        found = parts(path, Received(observed_at, START), None, on_read=lambda _bytes: None)
        LookAhead().count(glances(found, on_read=lambda _bytes: None), 100)


def _collection(content: bytes) -> None:
    for item in items(content):
        if item.content not in content:
            raise Wrong("a document that is not in the file")


@cache
def _joining() -> Joining:
    db = OPEN.enter_context(open_for_reading(database_of([seen(0, EPS="1.5")])))
    return Joining(Known(db, find_fields(["eps", "name"], ())))


def _table(name: str, join: Callable[..., int], content: bytes) -> None:
    path = scratch() / name
    path.write_bytes(content)
    with open_stream(path, lambda _bytes: None) as stream:
        join(stream, io.BytesIO(), _joining())


def _parquet(content: bytes) -> None:
    from pipeline.transfer import joined_parquet  # noqa: PLC0415 - needs the extra parquet

    with joined_parquet.open_parquet(io.BytesIO(content)) as opened:
        joined_parquet.join_parquet(opened, io.BytesIO(), _joining(), lambda _rows: None)


def _parquet_file() -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    target = io.BytesIO()
    pq.write_table(pa.table({"symbol": ["IBM", "PEP"], "time": ["2026-03-15", "2026-03-16"]}), target)
    return target.getvalue()


def _config(content: bytes) -> None:
    path = scratch() / "pipeline.toml"
    path.write_bytes(content)
    read_config(path)
    load(path, Environment({}))


def _variable(content: bytes) -> None:
    name, _, value = content.decode(errors="surrogateescape").partition("=")
    if name and "\0" not in value:
        load(None, Environment({name: value}))


def _dotenv(content: bytes) -> None:
    path = scratch() / ".env"
    path.write_bytes(content)
    found = with_dotenv({}, path)
    if any(map(shows_key, map(str, found.problems))):
        raise Wrong(f"a problem with the key: {found.problems}")


def _symbols(content: bytes) -> None:
    path = scratch() / "symbols.txt"
    path.write_bytes(content)
    read_symbol_file(path)


def _instants(content: bytes) -> None:
    path = scratch() / "instants.txt"
    path.write_bytes(content)
    list(panel._read_instants(path))


def _heartbeat(content: bytes) -> None:
    database = scratch() / "o.db"
    heartbeat.heartbeat_path(database).write_bytes(content)
    beat = _beat(database)
    daemon_problem(beat, is_running=True, now=START)
    Metrics().render(EMPTY, beat)
    heartbeat.write(database, beat)
    rounded = _beat(database)  # to milliseconds
    heartbeat.write(database, rounded)
    if _beat(database) != rounded:
        raise Wrong("another heartbeat comes back")


def _beat(database: Path) -> heartbeat.Heartbeat:
    beat = heartbeat.read(database)
    if beat is None:
        raise Wrong("no heartbeat, though there is a file")
    return beat


def _reported(content: bytes) -> None:
    database = scratch() / "o.db"
    reported, broken = scratch() / "o.db.told.json", scratch() / "o.db.told.json.broken"
    reported.write_bytes(content)
    broken.unlink(missing_ok=True)
    scope = Scope((Symbol("IBM"),), (), timedelta(hours=72), timedelta(days=14))
    Reporter(database, scope, metrics=Metrics(), notifier=Notifier((), Sender("host", database)), ping=Ping(None))
    if (broken if broken.exists() else reported).read_bytes() != content:
        raise Wrong("what was reported before is lost")


def _lock(content: bytes) -> None:
    database = scratch() / "locked.db"
    lock_path(database).write_bytes(content)

    async def take() -> None:
        async with hold_lock(
            database, "x", max_wait=timedelta(), now=lambda: START, sleep=asyncio.sleep, on_wait=lambda _: None
        ):
            raise Wrong("a lock that is held was taken")

    with lock_path(database).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            asyncio.run(take())
        except Busy as busy:
            if "\n" in str(busy) or len(str(busy)) > _LONGEST_LINE:
                raise Wrong(f"a line of {len(str(busy)):,} characters") from None


def _marker(content: bytes) -> None:
    database = scratch() / "gone.db"
    marker_path(database).write_bytes(content)
    marker = read_marker(database)
    if marker is None:
        raise Wrong("no marker, though there is a file")
    if (line := str(record_gone(database))) and ("\n" in line or len(line) > _LONGEST_LINE):
        raise Wrong(f"a line of {len(line)} characters")
    write_marker(database, marker)
    if read_marker(database) != marker:
        raise Wrong("another marker comes back")
    write_marker(_empty_record(), marker)
    is_behind(_empty_record())


@cache
def _empty_record() -> Path:
    path = scratch() / "empty.db"
    shutil.copyfile(empty_database(), path)
    return path


def _named(content: bytes) -> None:
    """Read what a path says, by a pattern that stands before it."""
    text, _, path = content.decode(errors="surrogateescape").partition("\n")
    named = NamePattern(text).match(PurePath(path))
    if named is not None:
        received = named.received_at()
        if received is not None and received.tzinfo is None:
            raise Wrong("an instant without a zone")


def _version(content: bytes) -> None:
    """Read a version of a file in a repository, with the documents that are in it."""
    text = git_history._text(content)
    git_history._symbol_in(text)
    items(text)


def _git(content: bytes) -> None:
    """Read what git prints of a commit that changed a file with a name of any bytes but NUL."""
    path = content.replace(b"\0", b"")[:5_000] or b"x"
    head = b"a" * 40 + b"/1700000000/1600000000/" + b"b" * 40
    change = b":100644 100644 " + b"1" * 40 + b" " + b"2" * 40 + b" M"
    log = b"\0".join((head, change, path, head, b""))
    step = 1 + len(content) % 97
    found = [one.changes for one in read_log(log[start : start + step] for start in range(0, len(log), step))]
    if [[change.path for change in changes] for changes in found] != [[path], []]:
        raise Wrong("another path comes back")


def decoders() -> tuple[Decoder, ...]:
    """Return the decoders of files."""
    return (*_archives(), *_tables(), *_settings(), *_of_our_own())


def _archives() -> tuple[Decoder, ...]:
    lines = (_LINE, _BODY, _LINE + _BODY)
    packed = (gzip.compress(_LINE + _BODY), gzip.compress(ANSWER))
    responses = (ANSWER, b"<html>", *lines, *packed)
    return (
        Decoder("archives of lines", partial(_archive, "daily.jsonl"), (), (*lines, ANSWER, _ARRAY), at_once=_FEW),
        Decoder("packed archives", partial(_archive, "daily.jsonl.gz"), (), packed, large=(_LINE_BOMB,), at_once=_FEW),
        Decoder(
            "files of one response", partial(_archive, "IBM.json"), (), responses, large=(_FILE_BOMB,), at_once=_FEW
        ),
        Decoder("files of many documents", _collection, (Undecodable,), (_ARRAY, _KEYED, ANSWER + b"\n" + ANSWER)),
        Decoder("names of files", _named, (ValueError,), _NAMES),
        Decoder("versions in git", _version, (Undecodable, ValueError), (ANSWER, _KEYED, *packed, _POINTER)),
        Decoder("paths in git", _git, (), (b"overviews/2026-03-14/IBM.json", b"\xff\n:\x1b")),
    )


def _tables() -> tuple[Decoder, ...]:
    refused: tuple[type[Exception], ...] = (JoinError,)
    text = (
        Decoder(
            "tables in CSV", partial(_table, "t.csv", join_csv), refused, (_CSV, gzip.compress(_CSV)), at_once=_FEW
        ),
        Decoder("tables in JSON Lines", partial(_table, "t.jsonl", join_jsonl), refused, (_ROWS, gzip.compress(_ROWS))),
        Decoder("files of instants", _instants, (Trouble,), (b"2026-03-14\n# x\n2026-03-14T18:30Z\n", b"7d\n")),
    )
    if find_spec("pyarrow") is None:
        return text
    return (*text, Decoder("tables in Parquet", _parquet, refused, (_parquet_file(),)))


def _settings() -> tuple[Decoder, ...]:
    key, refused = KEY.encode(), (SettingsError,)
    symbols = (b"AAPL\nIBM # x\n", b"symbol,name\nA,B\n", key)
    return (
        Decoder("configuration files", _config, refused, (_CONFIG, b'api_key = "' + key + b'"'), hides_key=True),
        Decoder(
            "variables", _variable, refused, (*_VARIABLES, b"ALPHAVANTAGE_API_KEY=" + key), hides_key=True, at_once=_FEW
        ),
        Decoder("env files", _dotenv, (), (b"ALPHAVANTAGE_API_KEY=" + key + b"\n# y\nexport A='b c'\n",)),
        Decoder("lists of symbols", _symbols, refused, symbols, hides_key=True),
    )


def _of_our_own() -> tuple[Decoder, ...]:
    marker = b'{"began_at":"2026-03-14T18:30:00Z","lost_at":null,"set_aside":"o.db.2026"}'
    last_run = b'{"last_run":{"id":0,"record":"%b","state":"begun"}}' % to_text(START).encode()
    return (
        Decoder("heartbeats", _heartbeat, (heartbeat.DamagedHeartbeat,), (_BEAT,)),
        Decoder("memories of reports", _reported, (), (_REPORTED,), at_once=_FEW),
        Decoder(
            "locks",
            _lock,
            (),
            (b'{"pid": 7, "purpose": "collect", "since": "2026-03-14T18:30:00.000Z"}',),
            at_once=_FEW,
        ),
        Decoder("markers", _marker, (), (marker, last_run), at_once=_FEW),
    )
