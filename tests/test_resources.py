"""Resources: where the system allows too few threads, files or memory, one line says so, and nothing is begun."""

import errno
import threading
from pathlib import Path

import pytest

from pipeline.cli import error_output
from pipeline.errors import ExitCode, Trouble
from pipeline.resources import check_resources, exhausted
from tests.support.commands import KEY, assert_note, call, run_shell


def no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("words", [["collect"], ["collect", "--sandbox"], ["import", "x.jsonl"], ["run"], ["migrate"]])
def test_without_threads_nothing_begins_and_a_line_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('[symbols]\nlist = ["IBM"]\n')
    monkeypatch.setattr(threading.Thread, "start", no_thread)

    ended = call(tmp_path, *words, "--database", "data.db", ALPHAVANTAGE_API_KEY=KEY)

    assert (ended.code, ended.out) == (ExitCode.FAILED, "")
    assert_note(ended, "no more threads", "ulimit -u")


@pytest.mark.process
@pytest.mark.parametrize("allowed", [5, 12, 20])
def test_without_open_files_nothing_begins_and_a_line_says_why(tmp_path: Path, allowed: int) -> None:
    ended = run_shell(tmp_path, f'ulimit -n {allowed}; "$PIPELINE" collect --sandbox --database s.db')

    assert (ended.code, ended.out) == (ExitCode.FAILED, "")
    assert_note(ended, "no more open files", "ulimit -n")


def test_what_was_taken_to_look_is_given_back() -> None:
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    check_resources()

    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == (threads, files)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
        (OSError(errno.ENFILE, "Too many open files in system"), "open files"),
        (ExceptionGroup("", [ValueError(), ExceptionGroup("", [MemoryError()])]), "memory"),
        (caused(ValueError(), MemoryError()), "memory"),
        (caused(Trouble("x"), caused(ValueError(), RuntimeError("can't start new thread"))), "threads"),
    ],
)
def test_what_ran_out_is_one_line(capsys: pytest.CaptureFixture[str], error: BaseException, word: str) -> None:
    error_output.print_traceback(type(error), error, None)

    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert word in err


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), OSError(errno.ENOENT, "x"), KeyError("x")])
def test_any_other_error_keeps_its_traceback(error: BaseException) -> None:
    error.__cause__ = error

    assert exhausted(error) is None


@pytest.mark.process
def test_with_closed_streams_without_a_home_and_in_a_folder_that_is_gone_it_works(tmp_path: Path) -> None:
    collect = f'"$PIPELINE" collect -q --sandbox QUVEX --database {tmp_path}/s.db <&- >&- 2>&-'

    ended = run_shell(tmp_path, f"mkdir gone; cd gone; rmdir ../gone; unset HOME; {collect}; echo $?")

    assert ended.out == "0\n", ended


@pytest.mark.process
@pytest.mark.parametrize("words", ["status --database x.db", "init"])
def test_a_relative_name_in_a_folder_that_is_gone_is_one_line(tmp_path: Path, words: str) -> None:
    ended = run_shell(tmp_path, f'mkdir gone; cd gone; rmdir ../gone; "$PIPELINE" {words}')

    assert ended.code == ExitCode.FAILED
    assert_note(ended)
