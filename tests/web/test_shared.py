"""Sharing: equal questions at one time are answered once, later ones while the state stays; who leaves ends nothing."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest

from pipeline.web.shared import Shared


@dataclass
class Answers:
    """Counts what is asked, and answers when it may."""

    asked: int = 0
    given_up: int = 0
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def one(self) -> int:
        self.asked += 1
        number = self.asked
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return number

    async def failing(self) -> int:
        await self.one()
        raise ValueError("no answer")


async def begun(answers: Answers, asked: int = 1) -> None:
    async with asyncio.timeout(10):
        while answers.asked < asked:
            await asyncio.sleep(0)


async def test_equal_questions_at_one_time_are_answered_once() -> None:
    shared, answers = Shared[int, int](most=8), Answers()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(shared.get("q", state, answers.one)) for state in (1, 1, 2, None)]
        other = group.create_task(shared.get("other", 1, answers.one))
        await begun(answers, 2)
        answers.may.set()
    assert [task.result() for task in tasks] == [1, 1, 1, 1]
    assert other.result() == 2


async def test_an_answer_is_kept_while_the_state_stays() -> None:
    shared, answers = Shared[int, int](most=8), Answers()
    answers.may.set()
    assert [await shared.get("q", state, answers.one) for state in (1, 1, 2, 2, 1, None, None)] == [1, 1, 2, 2, 3, 4, 5]


async def test_an_older_answer_is_given_meanwhile_where_it_will_do() -> None:
    shared, answers = Shared[int, int](most=8), Answers()

    async def get(state: int) -> int:
        return await shared.get("q", state, answers.one, meanwhile=lambda kept, wanted: wanted - kept < 2)

    answers.may.set()
    assert await get(1) == 1
    answers.may.clear()
    assert [await get(2), await get(2)] == [1, 1]
    await begun(answers, 2)  # in the background, once
    answers.may.set()
    while await get(2) == 1:
        await asyncio.sleep(0)
    assert [await get(2), await get(9), answers.asked] == [2, 3, 3]


async def test_one_that_goes_away_takes_no_answer_from_the_others() -> None:
    shared, answers = Shared[int, int](most=8), Answers()
    first, second = (asyncio.create_task(shared.get("q", 1, answers.one)) for _ in range(2))
    await begun(answers)
    first.cancel()
    await asyncio.wait({first})
    assert answers.given_up == 0
    answers.may.set()
    assert await second == 1


async def test_what_nobody_waits_for_is_given_up_and_asked_again_by_the_next() -> None:
    shared, answers = Shared[int, int](most=8), Answers()
    tasks = [asyncio.create_task(shared.get("q", 1, answers.one)) for _ in range(2)]
    await begun(answers)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    answers.may.set()
    assert await shared.get("q", 1, answers.one) == 2
    assert answers.given_up == 1


async def test_an_error_is_that_of_all_who_wait_and_is_not_kept() -> None:
    shared, answers = Shared[int, int](most=8), Answers()
    answers.may.set()
    ended = await asyncio.gather(*(shared.get("q", 1, answers.failing) for _ in range(3)), return_exceptions=True)
    assert [str(one) for one in ended] == ["no answer"] * 3
    assert await shared.get("q", 1, answers.one) == 2


@pytest.mark.parametrize(("sizes", "kept"), [((1, 1, 1, 1), "abcd"), ((4, 4, 4, 4, 4), "bcde"), ((5, 1), "b")])
async def test_those_asked_for_last_are_kept_and_none_that_is_large(sizes: tuple[int, ...], kept: str) -> None:
    shared, answers = Shared[int, str](most=16, size_of=len), Answers()
    answers.may.set()

    async def sized(size: int) -> str:
        await answers.one()
        return "x" * size

    names = "abcde"[: len(sizes)]
    for name, size in zip(names, sizes, strict=True):
        await shared.get(name, 1, partial(sized, size))
    before = answers.asked
    assert [name for name in names if await _is_kept(shared, name, answers)] == list(kept)
    assert answers.asked == before + len(names) - len(kept)


async def _is_kept(shared: Shared[int, str], name: str, answers: Answers) -> bool:
    before = answers.asked

    async def again() -> str:
        await answers.one()
        return "xxxxx"  # too large to take the place of another

    await shared.get(name, 1, again)
    return answers.asked == before
