"""Complaints: one line for many problems of one kind, whatever their number."""

from pipeline.transfer.complaints import Complaints
from pipeline.transfer.entries import Place, Problem, Skipped


def lines(*problems: Problem) -> list[str]:
    complaints = Complaints()
    for problem in problems:
        complaints.add(problem)
    return list(complaints.lines())


def at(line: int, reason: str, file: str = "a.jsonl") -> Problem:
    return Problem(Place(file, line), reason)


def test_a_problem_alone_is_told_as_it_is() -> None:
    assert lines(at(3, "cut"), at(4, "too long")) == ["a.jsonl, line 3: cut", "a.jsonl, line 4: too long"]


def test_equal_problems_are_one_line_with_the_first_places_and_their_number() -> None:
    assert lines(*(at(n, "cut") for n in range(1, 3))) == ["a.jsonl, lines 1, 2: cut"]
    assert lines(*(at(n, "cut") for n in range(1, 1_101))) == ["a.jsonl, lines 1, 2, 3 and 1,097 more: cut"]
    assert lines(at(7, "x", "a"), at(1, "x", "b"), at(2, "x", "b"), at(3, "x", "b")) == [
        "a, line 7; b, lines 1, 2 and 1 more: x"
    ]
    assert lines(*(at(0, "is UTF-16", f"{name}.json") for name in "ABCD")) == [
        "A.json, B.json, C.json and 1 more: is UTF-16"
    ]


def test_problems_that_differ_in_what_they_are_about_are_of_one_kind() -> None:
    (conflicts,) = lines(
        at(1, "in conflict with the document of IBM stored for 2024-01-01T00:00:00.000Z, which stays"),
        at(2, "in conflict with the document of BRK-B stored for 2024-01-02T00:00:00.000Z, which stays"),
    )
    assert conflicts.startswith("a.jsonl, lines 1, 2: the first: in conflict with the document of IBM")
    assert len(lines(at(1, "invalid symbol 'a b': use X"), at(2, "invalid symbol 'c d': use X"), at(3, "other"))) == 2


def test_what_was_skipped_is_a_kind_of_its_own() -> None:
    assert len(lines(at(0, "same"), Skipped(Place("a"), "same", 1))) == 2


def test_kinds_without_number_are_counted() -> None:
    *named, last = lines(*(at(n, "x" * n) for n in range(1, 101)))
    assert len(named) == 50
    assert last == "and 50 problems of other kinds"
