"""Remembered values: read once for all threads, until the state changes; and a failure is nobody else's."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from pipeline.web.remembered import Remembered


def test_a_value_is_read_once_for_all_threads() -> None:
    remembered, reads, may = Remembered(), [], threading.Event()

    def read() -> int:
        reads.append(1)
        may.wait(30)
        return len(reads)

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(remembered.get, "all", 1, read) for _ in range(4)]
        may.set()
        assert [one.result(30) for one in asked] == [1, 1, 1, 1]


def test_it_is_read_again_in_another_state_and_without_one() -> None:
    remembered, numbers = Remembered(), iter(range(9))
    found = [remembered.get("all", state, lambda: next(numbers)) for state in (1, 1, 2, None, None, 2)]
    assert found == [0, 0, 1, 2, 3, 1]


def test_those_asked_for_last_are_remembered() -> None:
    remembered, numbers = Remembered(most=2), iter(range(9))
    found = [remembered.get(name, 1, lambda: next(numbers)) for name in "abacab"]
    assert found == [0, 1, 0, 2, 0, 3]


def test_after_a_failure_the_next_one_reads() -> None:
    remembered = Remembered()

    def fail() -> int:
        raise ValueError("no value")

    with pytest.raises(ValueError, match="no value"):
        remembered.get("all", 1, fail)
    assert remembered.get("all", 1, lambda: 5) == 5


def test_large_values_are_dropped_sooner_and_the_newest_one_stays() -> None:
    remembered, read = Remembered(most_cells=100), []

    def rows(number: int, columns: int) -> list[tuple[int, ...]]:
        read.append(number)
        return [(0,) * columns] * 10

    for number in (1, 2, 1):
        remembered.get(number, "state", partial(rows, number, 5))
    assert read == [1, 2]
    for number in (3, 3, 1):
        remembered.get(number, "state", partial(rows, number, 20))
    assert read == [1, 2, 3, 1]
