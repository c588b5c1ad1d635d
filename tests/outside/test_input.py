"""Text from outside: whatever it is, each reader of it returns a value or raises the error that it promises."""

import gzip
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from pipeline.api.errors import ApiError
from pipeline.api.responses import read_response
from pipeline.api.server_time import dates
from pipeline.daemon import systemd
from pipeline.decoding import decode_object, decoder
from pipeline.errors import Trouble, Undecodable
from pipeline.model.symbols import Symbol
from pipeline.redaction import Redaction
from pipeline.settings.config_file import read_config
from pipeline.settings.environment import (
    Environment,
    with_dotenv,
)
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import load
from pipeline.settings.symbol_files import read_symbol_file
from pipeline.transfer.archives import check_archives, parts, read_archive
from pipeline.transfer.entries import Problem, Received, RecordedResponse
from pipeline.transfer.json_collections import items
from pipeline.transfer.look_ahead import LookAhead, glances
from tests.support.bad_bytes import bad_bytes, bad_texts
from tests.support.clocks import START
from tests.support.repositories import Making, history, needs_git
from tests.support.text_readers import TEXT_READERS

IBM = Symbol("IBM")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("input")


@settings(max_examples=300)
@given(reader=st.sampled_from(sorted(TEXT_READERS)), data=st.data())
def test_a_text_is_accepted_or_refused_in_its_own_way(reader: str, data: st.DataObject) -> None:
    read, refusals, sample = TEXT_READERS[reader]
    text = data.draw(bad_texts(sample))
    with suppress(*refusals):
        read(text)


VARIABLES = {
    "PIPELINE_SYMBOLS__LIST": '["AAPL", "MSFT"]',
    "PIPELINE_SOURCE__LIMITS": '["25/day"]',
    "PIPELINE_SOURCE__CONCURRENCY": "4",
    "PIPELINE_SOURCE__TIMEOUT_SECONDS": "30",
    "PIPELINE_SOURCE__BASE_URL": "https://a.example/query",
    "PIPELINE_COLLECT__RESUME": "true",
    "PIPELINE_STATUS__LISTEN": "127.0.0.1:8080",
    "PIPELINE_DATABASE": "overviews.db",
    "PIPELINE_SCHEDULE__CRON": "@daily",
    "PIPELINE_KEEP__OUTCOMES_DAYS": "30",
}


@settings(max_examples=100)
@given(variable=st.sampled_from(sorted(VARIABLES)), data=st.data())
def test_a_variable_is_a_setting_or_refused_by_name(variable: str, data: st.DataObject) -> None:
    text = data.draw(bad_texts(VARIABLES[variable]))
    try:
        load(None, Environment({variable: text}))
    except SettingsError as error:
        refusal = str(error)
    else:
        return
    assert refusal.startswith(variable)
    assert refusal.isprintable()


CONFIG = b"""
database = "o.db"
[symbols]
list = ["AAPL"]
[source]
limits = ["25/day"]
timeout_seconds = 30
[[schedule]]
cron = "30 18 * * 1-5"
catch_up_hours = 12
"""


@settings(max_examples=100)
@given(content=bad_bytes(CONFIG))
def test_a_configuration_file_is_read_or_refused_by_name(folder: Path, content: bytes) -> None:
    path = folder / "pipeline.toml"
    path.write_bytes(content)
    try:
        read_config(path)
        load(path, Environment({}))
    except SettingsError as error:
        refusal = str(error)
    else:
        return
    assert str(path) in refusal


@given(key=st.text(), content=bad_bytes(b"%41 \\u0041 &#65; &eacute; \\x41", b'{"Name": "AT&T \\u00e9"}'))
def test_any_bytes_are_searched_for_any_key(key: str, content: bytes) -> None:
    redact = Redaction([key], addresses=[key])

    assert redact.finds_key(content) in (True, False)
    assert isinstance(redact(content.decode(errors="surrogateescape")), str)


@given(content=bad_bytes(b"ALPHAVANTAGE_API_KEY=x\n# y\nexport A='b c'\n"))
def test_an_env_file_gives_variables_and_problems(folder: Path, content: bytes) -> None:
    path = folder / ".env"
    path.write_bytes(content)
    found = with_dotenv({}, path)
    assert all(str(path) in str(problem) for problem in found.problems)


@given(content=bad_bytes(b"AAPL\nIBM # x\n", b"symbol,name,exchange,assetType,status\nA,B,NYSE,Stock,Active\n"))
def test_a_list_of_symbols_is_read_or_refused_by_name(folder: Path, content: bytes) -> None:
    path = folder / "symbols.txt"
    path.write_bytes(content)
    try:
        read_symbol_file(path)
    except SettingsError as error:
        refusal = str(error)
    else:
        return
    assert str(path) in refusal


ANSWER = b'{"Symbol": "IBM", "Name": "Int\\u0065rn", "EPS": "1.5", "Other": [1, {"a": null}]}'
REFUSAL = b'{"Information": "standard API rate limit is 25 requests per day. 5 calls per minute and 500 calls per day"}'


@settings(max_examples=200)
@given(
    body=bad_bytes(ANSWER, REFUSAL),
    status=st.sampled_from([200, 200, 200, 204, 301, 400, 401, 408, 429, 500, 503, 999]),
    after=bad_texts("120", "Sat, 14 Mar 2026 18:30:00 GMT"),
    date=bad_texts("Sat, 14 Mar 2026 18:30:00 GMT"),
)
def test_an_answer_is_an_overview_or_an_error_of_the_api(body: bytes, status: int, after: str, date: str) -> None:
    with suppress(ApiError):
        read_response(IBM, status, {"Retry-After": after, "Date": date}, body)


@settings(max_examples=50)
@given(date=bad_texts("Sat, 14 Mar 2026 18:30:00 GMT"), age=bad_texts("120"))
@example(date="Fri, 31 Dec 9999 23:59:59 GMT", age="999999999")
def test_a_hosts_clock_is_an_instant_or_unknown(date: str, age: str) -> None:
    dates(CIMultiDictProxy(CIMultiDict({"Date": date, "Age": age})))


LINE = (
    b'{"symbol": "IBM", "observed_at": "2026-01-14T18:30:00Z", "status": 200, "looks": ["2026-01-15T18:30:00Z"],'
    b' "document": {"Symbol": "IBM", "EPS": "1.5"}}\n'
)


@settings(max_examples=100)
@given(
    content=bad_bytes(LINE, LINE.replace(b'"document": {', b'"body": "{').replace(b"}}", b'}"}'), ANSWER),
    packs=st.booleans(),
)
@pytest.mark.parametrize("name", ["IBM.json", "daily.jsonl.gz", "folder"])
def test_an_archive_yields_responses_and_problems(folder: Path, name: str, content: bytes, packs: bool) -> None:
    source = folder / name
    path = source / "IBM.json" if name == "folder" else source
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content, 1) if packs else content)
    for observed_at in (START, None):
        with suppress(Trouble):
            check_archives([source], observed_at)
        for entry in read_archive(source, observed_at=observed_at, now=START, on_read=lambda _bytes: None):
            assert isinstance(entry, RecordedResponse | Problem)
        found = parts(source, Received(observed_at, START), None, on_read=lambda _bytes: None)
        LookAhead().count(glances(found, on_read=lambda _bytes: None), 100)


_ARRAY = b'[{"Symbol": "IBM", "EPS": "1.5"}, {"Symbol": "AAPL"}, {}]'
_KEYED = b'{"updated": "2026-03-14", "data": {"IBM": {"Symbol": "IBM"}, "AAPL": {"Note": "wait"}, "PEP": {}}}'


@settings(max_examples=100)
@given(content=bad_bytes(_ARRAY, _KEYED, ANSWER + b"\n" + ANSWER))
def test_a_file_of_many_holds_documents_or_is_undecodable(content: bytes) -> None:
    with suppress(Undecodable):
        for item in items(content):
            assert item.content in content


@pytest.mark.process
@needs_git
@settings(max_examples=2)  # of many contents each: a repository takes git a dozen processes
@given(contents=st.lists(bad_bytes(LINE, ANSWER, _ARRAY, _KEYED, b"/annex/objects/x"), min_size=20, max_size=60))
@pytest.mark.parametrize("each", [False, True])
def test_a_repository_yields_responses_and_problems(
    tmp_path_factory: pytest.TempPathFactory, each: bool, contents: list[bytes]
) -> None:
    making = Making(tmp_path_factory.mktemp("repository"))
    for number, content in enumerate(contents):
        making.commit({f"{number % 5}/IBM.json": gzip.compress(content) if number % 3 == 0 else content})
    for entry in history(making.make(), "*/{symbol}.json", each=each, now=START):
        assert isinstance(entry, RecordedResponse | Problem)


@given(content=st.binary(max_size=300).map(lambda noise: gzip.compress(LINE)[:60] + noise))
def test_a_damaged_gzip_file_yields_what_was_before_the_damage(folder: Path, content: bytes) -> None:
    path = folder / "damaged.jsonl.gz"
    path.write_bytes(content)
    list(read_archive(path, observed_at=None, now=START, on_read=lambda _bytes: None))


@settings(max_examples=50)
@given(usec=bad_texts("30000000"), pid=bad_texts("7"), address=bad_texts("/run/notify", "@abstract"))
def test_systemds_variables_are_used_or_ignored(usec: str, pid: str, address: str) -> None:
    variables = {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid, "NOTIFY_SOCKET": address}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            if "\0" not in value:  # no variable can hold one
                patch.setenv(name, value)
        patch.delenv("WATCHDOG_PID", raising=False)
        period = systemd.watchdog_period()
        systemd.ready("ready")
    assert period is None or period.total_seconds() > 0


@given(content=bad_bytes(b'{"a": [1, 2.5, "x"]}'))
@example(content=b"[" * 20_000)
@example(content=b'{"\xff": 1}')
def test_json_is_of_its_type_or_undecodable_with_one_short_reason(content: bytes) -> None:
    for decode in (decoder(object), decoder(dict[str, list[int]]), decoder(list[str])):
        try:
            decode(content)
        except Undecodable as error:
            reason = str(error)
            assert 0 < len(reason) < 200


@given(content=bad_texts('{"a": [1, 2.5, "x"]}'))
def test_json_of_a_column_is_an_object_or_undecodable(content: str) -> None:
    with suppress(Undecodable):
        assert isinstance(decode_object(content), dict)


def test_json_of_a_column_keeps_every_number() -> None:
    text = '{"a": 123456789012345678901234567890, "b": 0.1, "c": -0.0}'
    assert repr(decode_object(text)) == "{'a': 123456789012345678901234567890, 'b': 0.1, 'c': -0.0}"
