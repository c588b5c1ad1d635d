"""Shared answers: equal questions at one time are answered once, later ones while nothing is written."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from multidict import CIMultiDict

from pipeline.store.data_version import Version
from pipeline.web.caching import Answer
from pipeline.web.present import Moment
from pipeline.web.shared import SharedAnswers

AT = datetime(2026, 3, 14, tzinfo=UTC)


def moment(counter: int | None, after: timedelta = timedelta()) -> Moment | None:
    """Return the moment of a state of the database; None if that is not known."""
    return None if counter is None else Moment(Version(1, (0, 0, 0, 0), counter), AT + after)


def answer(number: int, size: int = 0) -> Answer:
    """Return an answer that takes some megabytes."""
    return Answer(200, CIMultiDict(number=str(number)), bytes((size << 20) * 3 // 4))


def number_of(answer: Answer) -> int:
    """Return which answer it is."""
    return int(answer.headers["number"])


@dataclass
class Answers:
    """Counts what is asked, and answers when it may."""

    asked: int = 0
    given_up: int = 0
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def one(self) -> Answer:
        self.asked += 1
        number = self.asked
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return answer(number)

    async def failing(self) -> Answer:
        await self.one()
        raise ValueError("no answer")


async def begun(answers: Answers, asked: int = 1) -> None:
    async with asyncio.timeout(10):
        while answers.asked < asked:
            await asyncio.sleep(0.001)


async def test_equal_questions_at_one_time_are_answered_once_for_each_state_of_the_database() -> None:
    shared, answers = SharedAnswers(), Answers()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(shared.get("q", moment(state), answers.one)) for state in (1, 1, 2, 2, None, None)]
        other = group.create_task(shared.get("other", moment(1), answers.one))
        await begun(answers, 4)
        answers.may.set()
    assert [number_of(task.result()) for task in tasks] == [1, 1, 2, 2, 3, 3]
    assert number_of(other.result()) == 4


async def test_an_answer_is_kept_while_the_state_stays() -> None:
    shared, answers = SharedAnswers(), Answers()
    answers.may.set()
    found = [await shared.get("q", moment(state), answers.one) for state in (1, 1, 2, 2, 1, None, None)]
    assert [*map(number_of, found)] == [1, 1, 2, 2, 3, 4, 5]


async def test_an_older_answer_is_given_meanwhile_where_it_will_do() -> None:
    shared, answers = SharedAnswers(), Answers()

    async def get(seconds: int) -> int:
        return number_of(await shared.get("q", moment(1, timedelta(seconds=seconds)), answers.one))

    answers.may.set()
    assert await get(1) == 1
    answers.may.clear()
    assert [await get(11), await get(11)] == [1, 1]
    await begun(answers, 2)  # in the background, once
    answers.may.set()
    while await get(11) == 1:
        await asyncio.sleep(0.001)
    assert [await get(11), await get(90), answers.asked] == [2, 3, 3]


async def test_one_that_goes_away_takes_no_answer_from_the_others() -> None:
    shared, answers = SharedAnswers(), Answers()
    first, second = (asyncio.create_task(shared.get("q", moment(1), answers.one)) for _ in range(2))
    await begun(answers)
    first.cancel()
    await asyncio.wait({first})
    assert answers.given_up == 0
    answers.may.set()
    assert number_of(await second) == 1


async def test_what_nobody_waits_for_is_given_up_and_asked_again_by_the_next() -> None:
    shared, answers = SharedAnswers(), Answers()
    tasks = [asyncio.create_task(shared.get("q", moment(1), answers.one)) for _ in range(2)]
    await begun(answers)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    answers.may.set()
    assert number_of(await shared.get("q", moment(1), answers.one)) == 2
    assert answers.given_up == 1


async def test_an_error_is_that_of_all_who_wait_and_is_not_kept() -> None:
    shared, answers = SharedAnswers(), Answers()
    answers.may.set()
    ended = await asyncio.gather(
        *(shared.get("q", moment(1), answers.failing) for _ in range(3)), return_exceptions=True
    )
    assert [str(one) for one in ended] == ["no answer"] * 3
    assert number_of(await shared.get("q", moment(1), answers.one)) == 2


@pytest.mark.parametrize(("sizes", "kept"), [((2, 2, 2, 2), "abcd"), ((8, 8, 8, 8, 8), "bcde"), ((9, 2), "b")])
async def test_those_asked_for_last_are_kept_and_none_that_is_large(sizes: tuple[int, ...], kept: str) -> None:
    shared, answers = SharedAnswers(), Answers()
    answers.may.set()

    async def sized(size: int) -> Answer:
        return answer(number_of(await answers.one()), size)

    names = "abcde"[: len(sizes)]
    for name, size in zip(names, sizes, strict=True):
        await shared.get(name, moment(1), partial(sized, size))
    before = answers.asked
    assert [name for name in names if await _is_kept(shared, name, answers)] == list(kept)
    assert answers.asked == before + len(names) - len(kept)


async def _is_kept(shared: SharedAnswers, name: str, answers: Answers) -> bool:
    before = answers.asked

    async def again() -> Answer:
        return answer(number_of(await answers.one()), 16)  # too large to take the place of another

    await shared.get(name, moment(1), again)
    return answers.asked == before
