"""Git history: what each change in a repository becomes."""

import codecs
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import Trouble
from tests.support.archives import line
from tests.support.repositories import (
    DAY,
    NOON,
    Content,
    Making,
    document,
    git,
    history,
    mistakes,
    needs_git,
    observed,
    remarks,
)

pytestmark = [pytest.mark.process, needs_git]

IBM = "data/IBM.json"


@pytest.fixture
def making(tmp_path: Path) -> Making:
    return Making(tmp_path / "r.git")


def pe(value: str, symbol: str = "IBM") -> bytes:
    return document(symbol, PERatio=value)


# Which versions there are, and when


def test_each_version_is_an_observation_at_its_commit(making: Making) -> None:
    making.commit({IBM: pe("1"), "data/AAPL.json": pe("7", "AAPL"), "README.md": b"x"})
    making.commit({"README.md": b"y"}, at=NOON + DAY)
    making.commit({IBM: pe("2")}, at=NOON + 2 * DAY, zone="-0500")
    making.commit({IBM: None}, at=NOON + 3 * DAY)
    making.commit({IBM: pe("2")}, at=NOON + 4 * DAY)

    found = history(making.make())

    assert observed(found) == [
        ("AAPL", "2024-03-14T12:00", "7"),
        ("IBM", "2024-03-14T12:00", "1"),
        ("IBM", "2024-03-16T12:00", "2"),
        ("IBM", "2024-03-18T12:00", "2"),
    ]
    assert remarks(found) == ["skipped, their paths do not match --path data/{symbol}.json: README.md"]


def test_a_problem_names_what_git_show_takes(making: Making) -> None:
    making.commit({IBM: b"{"})
    (found,) = history(making.make())
    shown = git("show", str(found.place), folder=making.folder)
    assert shown == "{"


def test_the_authors_date_is_taken_on_request(making: Making) -> None:
    making.commit({IBM: pe("1")}, at=NOON + DAY, written_at=NOON)
    repository = making.make()
    assert observed(history(repository)) == [("IBM", "2024-03-15T12:00", "1")]
    assert observed(history(repository, by_author=True)) == [("IBM", "2024-03-14T12:00", "1")]


def test_a_rewritten_history_is_remarked(making: Making) -> None:
    for number in range(3):
        making.commit({IBM: pe(str(number))}, at=NOON + 30 * DAY + number, written_at=NOON + number * DAY)
    repository = making.make()
    (remark,) = remarks(history(repository))
    assert "--author-date" in remark
    assert remarks(history(repository, by_author=True)) == []


def test_a_clock_that_went_backwards_is_remarked_and_counts(making: Making) -> None:
    making.commit({IBM: pe("1")}, at=NOON + DAY)
    making.commit({IBM: pe("2")}, at=NOON)
    making.commit({IBM: pe("3")}, at=NOON + 2 * DAY)
    found = history(making.make())
    assert observed(found) == [
        ("IBM", "2024-03-15T12:00", "1"),
        ("IBM", "2024-03-14T12:00", "2"),
        ("IBM", "2024-03-16T12:00", "3"),
    ]
    assert ["1 commit with an earlier date" in remark for remark in remarks(found)] == [True]


def test_each_side_of_a_merge_counts_once_and_the_merge_what_it_made_itself(making: Making) -> None:
    root = making.commit({IBM: pe("1")})
    ours = making.commit({IBM: pe("2"), "data/A.json": pe("1", "A")}, at=NOON + 10)
    theirs = making.commit({IBM: pe("3"), "data/B.json": pe("1", "B")}, at=NOON + 20, branch="side", parents=[root])
    making.commit({IBM: pe("4"), "data/B.json": pe("1", "B")}, at=NOON + 80, parents=[ours, theirs])
    assert sorted(observed(history(making.make()))) == [
        ("A", "2024-03-14T12:00", "1"),
        ("B", "2024-03-14T12:00", "1"),
        ("IBM", "2024-03-14T12:00", "1"),
        ("IBM", "2024-03-14T12:00", "2"),
        ("IBM", "2024-03-14T12:00", "3"),
        ("IBM", "2024-03-14T12:01", "4"),
    ]


def test_a_commit_comes_after_its_parents_whatever_their_dates(making: Making) -> None:
    first = making.commit({IBM: pe("1")}, at=NOON + 100)
    second = making.commit({IBM: pe("2")}, at=NOON + 50, branch="side", parents=[first])
    other = making.commit({"data/A.json": pe("1", "A")}, at=NOON + 60, parents=[first])
    making.commit({}, at=NOON + 200, parents=[second, other])
    assert [value for symbol, _, value in observed(history(making.make())) if symbol == "IBM"] == ["1", "2"]


def test_commits_of_two_branches_come_by_their_dates(making: Making) -> None:
    root = making.commit({IBM: pe("1")})
    ours = making.commit({IBM: pe("2")}, at=NOON + 10)
    theirs = making.commit({IBM: pe("3")}, at=NOON + 20, branch="side", parents=[root])
    ours = making.commit({IBM: pe("4")}, at=NOON + 30, parents=[ours])
    theirs = making.commit({IBM: pe("5")}, at=NOON + 40, branch="side", parents=[theirs])
    making.commit({IBM: pe("6")}, at=NOON + 50, parents=[ours, theirs])
    assert [value for *_, value in observed(history(making.make()))] == ["1", "2", "3", "4", "5", "6"]


def test_a_moved_file_is_not_observed_again(making: Making) -> None:
    making.commit({"data/FB.json": pe("1", "FB")})
    making.commit({"data/FB.json": None, "data/META.json": pe("1", "FB")}, at=NOON + DAY)
    making.commit({"data/META.json": pe("2", "META")}, at=NOON + 2 * DAY)
    assert observed(history(making.make())) == [("FB", "2024-03-14T12:00", "1"), ("META", "2024-03-16T12:00", "2")]


def test_a_file_that_is_moved_to_where_files_are_read_is_observed(making: Making) -> None:
    making.commit({"IBM.json": pe("1"), "old/AAPL.json": pe("7", "AAPL")})
    making.commit(
        {"IBM.json": None, IBM: pe("1"), "old/AAPL.json": None, "new/AAPL.json": pe("7", "AAPL")}, at=NOON + 60
    )
    found = history(making.make())
    assert observed(found) == [("IBM", "2024-03-14T12:01", "1")]
    (remark,) = remarks(found)
    assert remark.endswith(": IBM.json, old/AAPL.json")


def test_the_same_content_under_another_date_is_observed(making: Making) -> None:
    making.commit({"2024-03-13/IBM.json": pe("1")})
    making.commit({"2024-03-13/IBM.json": None, "2024-03-14/IBM.json": pe("1")}, at=NOON + DAY)
    making.commit({"2024-03-14/IBM.json": None, "old/2024-03-14/IBM.json": pe("1")}, at=NOON + 2 * DAY)
    assert observed(history(making.make(), "{date}/{symbol}.json")) == [
        ("IBM", "2024-03-13T23:59", "1"),
        ("IBM", "2024-03-14T23:59", "1"),
    ]


def test_a_document_of_another_company_is_rejected(making: Making) -> None:
    making.commit({"data/META.json": pe("1", "FB")})
    assert observed(history(making.make())) == [("META", "2024-03-14T12:00", "rejected")]


def test_a_mode_or_a_copy_of_a_mode_is_no_version(making: Making) -> None:
    making.commit({IBM: pe("1")})
    making.commit({IBM: ("100755", pe("1"))}, at=NOON + DAY)
    assert observed(history(making.make())) == [("IBM", "2024-03-14T12:00", "1")]


def test_refusals_mean_what_they_mean_in_any_import(making: Making) -> None:
    making.commit({IBM: b"{}"})
    making.commit({IBM: b'{"Information": "our standard API rate limit is 25 requests per day"}'}, at=NOON + DAY)
    making.commit({IBM: b'{"Error Message": "Invalid API call"}'}, at=NOON + 2 * DAY)
    assert [kind for *_, kind in observed(history(making.make()))] == ["unknown", "quota_ended", "rejected"]


def test_a_path_may_say_when_but_never_later_than_the_commit(making: Making) -> None:
    making.commit({"2024-03-10/IBM.json": pe("1"), "2024-03-14/IBM.json": pe("2"), "2024-13-14/IBM.json": pe("3")})
    found = history(making.make(), "{date}/{symbol}.json")
    assert ["invalid timestamp '2024-13-14'" in reason for reason in mistakes(found)] == [True]
    assert observed([one for one in found if "13-14" not in str(one.place)]) == [
        ("IBM", "2024-03-10T23:59", "1"),
        ("IBM", "2024-03-14T12:00", "2"),
    ]


@pytest.mark.parametrize("at", [-5, 10**14, 10**17, int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())])
def test_a_commit_without_a_valid_date_is_bad(making: Making, at: int) -> None:
    making.commit({IBM: pe("1")}, at=at)
    (reason,) = mistakes(history(making.make()))
    assert "no valid date" in reason or "in the future" in reason


# What is in a file


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + pe("1"),
        pe("1").replace(b", ", b",\r\n"),
        gzip.compress(pe("1")),
        gzip.compress(codecs.BOM_UTF8 + pe("1")),
    ],
    ids=["mark", "CRLF", "gzip", "gzip and mark"],
)
def test_other_ways_to_store_a_document(making: Making, content: bytes) -> None:
    making.commit({IBM: content})
    assert observed(history(making.make())) == [("IBM", "2024-03-14T12:00", "1")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pe("1").decode().encode("utf-16"), "iconv -f UTF-16"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"),
        (b"/annex/objects/SHA256E-s9--00.json\n", "git-annex pointer"),
        (("120000", b"../.git/annex/objects/aa/bb/SHA256E-s9--00.json"), "git-annex pointer"),
        (gzip.compress(pe("1"))[:-9], "is cut off"),
        (b'{"Symbol": "IBM", }', "not strict JSON"),
        (b"", "not strict JSON"),
    ],
    ids=["UTF-16", "LFS", "annex", "annex link", "cut off", "syntax", "empty"],
)
def test_what_cannot_be_read_is_bad_with_the_reason(making: Making, content: Content, why: str) -> None:
    making.commit({IBM: content})
    for each in (False, True):
        making.folder = making.folder.with_name(f"{each}.git")
        (reason,) = mistakes(history(making.make(), each=each))
        assert why in reason or (each and why == "not strict JSON")


def test_links_and_submodules_are_skipped(making: Making) -> None:
    making.commit({IBM: pe("1"), "data/LINK.json": ("120000", b"IBM.json"), "data/SUB.json": ("160000", b"1" * 40)})
    found = history(making.make())
    assert observed(found) == [("IBM", "2024-03-14T12:00", "1")]
    assert remarks(found) == ["skipped, links or submodules: data/LINK.json, data/SUB.json"]


def test_a_document_beyond_the_limit_is_rejected_and_a_huge_file_is_bad(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.transfer.git_history.LARGEST_FILE", 3 * 2**20)
    making.commit(
        {IBM: document(Description="x" * 2**20), "data/A.json": b"x" * (4 * 2**20), "data/B.json": pe("1", "B")}
    )
    found = history(making.make())
    assert mistakes(found) == ["is larger than 3 MB"]
    assert [kind for *_, kind in observed([one for one in found if "A.json" not in str(one.place)])] == [
        "1",
        "rejected",
    ]


def test_json_lines_are_read_as_any_import_reads_them_and_old_lines_once(making: Making) -> None:
    timed = line(document={"Symbol": "IBM", "PERatio": "1"}, observed_at="2024-01-05T18:00:00Z")
    untimed = line(document={"Symbol": "IBM", "PERatio": "2"}, observed_at=...)
    making.commit({"daily.jsonl": timed})
    making.commit({"daily.jsonl": timed + untimed}, at=NOON + DAY)
    later = (timed + untimed).replace(b"\n", b"\r\n") + b"{broken\n" + timed.replace(b"-05T", b"-06T")
    making.commit({"daily.jsonl": later}, at=NOON + 2 * DAY)
    found = history(making.make(), "daily.jsonl")
    assert [str(one.place).partition(":")[2] for one in found] == [
        "daily.jsonl, line 1", "daily.jsonl, line 2", "daily.jsonl, line 3", "daily.jsonl, line 4",
    ]  # fmt: skip
    assert observed([*found[:2], found[3]]) == [
        ("IBM", "2024-01-05T18:00", "1"),
        ("IBM", "2024-03-15T12:00", "2"),
        ("IBM", "2024-01-06T18:00", "1"),
    ]


def test_a_document_says_whose_it_is_where_its_path_does_not(making: Making) -> None:
    making.commit({"overview.json": pe("1")})
    making.commit({"overview.json": b"{}"}, at=NOON + DAY)
    making.commit({"overview.json": b'{"Note": "5 calls per minute and 500 calls per day"}'}, at=NOON + 2 * DAY)
    found = history(making.make(), "overview.json")
    assert mistakes(found) == ["does not say which symbol it is of: give a pattern of its path with {symbol}"]
    assert [kind for *_, kind in observed([found[0], found[2]])] == ["1", "throttled"]


# Many documents in a file


@pytest.mark.parametrize("text", [b"[%b]", b"[%b, {}]", b'{"IBM": %b, "PEP": {}}'])
def test_many_documents_without_each_are_bad_with_the_option_that_reads_them(making: Making, text: bytes) -> None:
    making.commit({"all.json": text % pe("1")})
    assert [("--each" in reason) for reason in mistakes(history(making.make(), "all.json"))] == [True]


def array(*documents: bytes) -> bytes:
    return b"[" + b", ".join(documents) + b"]"


def keyed(**documents: bytes) -> bytes:
    return json.dumps({key: json.loads(value) for key, value in documents.items()}, indent=1).encode()


def test_only_what_is_new_in_a_file_of_many_is_observed(making: Making) -> None:
    making.commit({"all.json": array(pe("1"), pe("7", "AAPL"))})
    making.commit({"all.json": array(pe("7", "AAPL"), pe("2"))}, at=NOON + DAY)
    making.commit({"all.json": array(pe("7", "AAPL"), pe("2"), pe("9", "PEP"))}, at=NOON + 2 * DAY)
    assert observed(history(making.make(), "all.json", each=True)) == [
        ("IBM", "2024-03-14T12:00", "1"),
        ("AAPL", "2024-03-14T12:00", "7"),
        ("IBM", "2024-03-15T12:00", "2"),
        ("PEP", "2024-03-16T12:00", "9"),
    ]


@pytest.mark.parametrize("limit", ["_REMEMBERED", "_MOST_KEYS"])
def test_what_is_new_is_so_against_the_parents_and_not_the_commit_before(
    making: Making, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"pipeline.transfer.git_history.{limit}", 1)
    root = making.commit({"all.json": array(pe("1"), pe("1", "A"))})
    ours = making.commit({"all.json": array(pe("2"), pe("1", "A"))}, at=NOON + 60)
    theirs = making.commit({"all.json": array(pe("1"), pe("2", "A"))}, at=NOON + 120, branch="side", parents=[root])
    making.commit({"all.json": array(pe("2"), pe("2", "A"), pe("1", "B"))}, at=NOON + 180, parents=[ours, theirs])
    assert observed(history(making.make(), "all.json", each=True)) == [
        ("IBM", "2024-03-14T12:00", "1"),
        ("A", "2024-03-14T12:00", "1"),
        ("IBM", "2024-03-14T12:01", "2"),
        ("A", "2024-03-14T12:02", "2"),
        ("B", "2024-03-14T12:03", "1"),
    ]


def test_the_key_of_a_document_is_its_symbol_where_it_names_none(making: Making) -> None:
    making.commit({"all.json": keyed(IBM=pe("1"), AAPL=b"{}", FB=pe("2", "META"))})
    making.commit({"all.json": keyed(IBM=pe("1"), AAPL=b"{}", PEP=b"{}")}, at=NOON + DAY)
    found = history(making.make(), "all.json", each=True)
    assert observed(found) == [
        ("IBM", "2024-03-14T12:00", "1"),
        ("AAPL", "2024-03-14T12:00", "unknown"),
        ("META", "2024-03-14T12:00", "2"),
        ("PEP", "2024-03-15T12:00", "unknown"),
    ]
    assert str(found[1].place).endswith(":all.json, AAPL")


# Which files and commits


def test_without_a_path_symbols_in_capitals_are_read_in_any_folder(making: Making) -> None:
    making.commit({"a/b/IBM.json": pe("1"), "BRK-B.json": pe("2", "BRK-B"), "package.json": b"{}"})
    found = history(making.make(), None)
    assert [symbol for symbol, *_ in observed(found)] == ["BRK-B", "IBM"]
    assert remarks(found) == ["skipped, their paths do not match SYMBOL.json, in capitals: package.json"]


def test_without_a_path_two_files_of_a_symbol_are_not_guessed(making: Making) -> None:
    making.commit({"income/IBM.json": pe("1"), "overview/IBM.json": pe("2")})
    with pytest.raises(Trouble, match=r"income/IBM.json and overview/IBM.json .*--path 'income/\{symbol\}.json'"):
        history(making.make(), None)


def test_a_path_that_matches_nothing_is_refused_with_what_there_is(making: Making) -> None:
    making.commit({IBM: pe("1")})
    with pytest.raises(Trouble, match=r"matches --path x/\{symbol\}.json: it has data/IBM.json"):
        history(making.make(), "x/{symbol}.json")


def test_odd_names_are_read_and_harmless(making: Making) -> None:
    making.commit({"data/\udcff\n\x1b[31m.json": pe("1"), 'data/:100644 a\t".json': pe("1"), IBM: pe("2")})
    found = history(making.make())
    assert len(mistakes(found)) == 2
    assert all(str(one.place).isprintable() for one in found)
    assert observed([one for one in found if "IBM" in str(one.place)]) == [("IBM", "2024-03-14T12:00", "2")]


def test_a_file_that_is_skipped_is_named_in_short(making: Making) -> None:
    making.commit({IBM: pe("1"), f"{'x' * 2000}/{'y' * 200}": b""})
    (remark,) = remarks(history(making.make()))
    assert len(remark) < 200


def test_branches_tags_and_commits(making: Making, tmp_path: Path) -> None:
    first = making.commit({IBM: pe("1")})
    making.commit({IBM: pe("2")}, at=NOON + DAY)
    making.commit({IBM: pe("3")}, at=NOON + 2 * DAY, branch="other", parents=[first])
    making.tag("v1", first)
    repository = making.make()
    git("clone", "-q", "--no-local", str(repository), str(tmp_path / "clone"))
    commit = git("rev-parse", "v1^{commit}", folder=repository)
    for where, branch, last in (
        (repository, None, "2"),
        (repository, "other", "3"),
        (repository, "v1", "1"),
        (repository, "refs/heads/other", "3"),
        (repository, "refs/tags/v1", "1"),
        (repository, commit[:8], "1"),
        (tmp_path / "clone", "other", "3"),
        (tmp_path / "clone", "origin/other", "3"),
    ):
        assert observed(history(where, branch=branch))[-1][2] == last


def test_a_shallow_clone_imports_only_what_is_known_to_have_changed(making: Making, tmp_path: Path) -> None:
    for number in range(3):
        making.commit({IBM: pe(str(number)), "data/A.json": pe("1", "A")}, at=NOON + number * DAY)
    repository = making.make()
    for depth in (1, 2):
        git("clone", "-q", "--depth", str(depth), f"file://{repository}", str(tmp_path / str(depth)))
    found = history(tmp_path / "2")
    assert observed(found) == [("IBM", "2024-03-16T12:00", "2")]
    assert ["--unshallow" in remark for remark in remarks(found)] == [True]
    with pytest.raises(Trouble, match="--unshallow"):
        history(tmp_path / "1")


def test_what_a_partial_clone_lacks_is_bad_and_never_fetched(making: Making, tmp_path: Path) -> None:
    making.commit({IBM: pe("1")})
    making.commit({IBM: pe("2")}, at=NOON + DAY)
    repository = making.make()
    git("config", "uploadpack.allowFilter", "true", folder=repository)
    git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repository}", str(tmp_path / "clone"))
    found = history(tmp_path / "clone")
    assert ["without --filter" in reason for reason in mistakes(found)] == [True, True]


def test_sha256(tmp_path: Path) -> None:
    making = Making(tmp_path / "r.git", object_format="sha256")
    making.commit({IBM: pe("1")})
    making.commit({IBM: pe("2")}, at=NOON + DAY)
    assert [value for *_, value in observed(history(making.make()))] == ["1", "2"]
