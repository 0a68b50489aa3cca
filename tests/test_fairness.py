"""No caller takes everything: counts by name, places in turn, work that is paid for."""

import asyncio
import contextvars

import pytest

from qwen_demo.fairness import ACCOUNT, Tally, Turns, Work, also_on, current_account, most_of
from tests.conftest import until

ALICE, BOB, NOBODY = ("alice",), ("bob",), ()


def test_one_name_may_take_its_part_and_one_at_least():
    assert [most_of(total, 0.75) for total in (1, 2, 4, 100)] == [1, 1, 3, 75]
    assert most_of(7, 1.0) == 7


def test_what_an_account_takes_counts_on_each_of_its_names():
    tally = Tally()
    tally.add(("address", "key"), 3)
    tally.add(("elsewhere", "key"), 2)
    assert (tally.of(("address",)), tally.of(("elsewhere", "key")), tally.of(NOBODY)) == (3, 5, 0)
    tally.add(("address", "key"), -3)
    tally.add(("elsewhere", "key"), -2)
    assert tally.of(("address", "elsewhere", "key")) == 0


def test_a_key_is_a_second_name_of_its_request():
    scope = {ACCOUNT: ALICE}

    def request() -> tuple[str, ...]:
        also_on("key:a", scope)
        also_on("key:a", scope)
        return current_account.get()

    assert contextvars.copy_context().run(request) == scope[ACCOUNT] == ("alice", "key:a")
    assert current_account.get() == NOBODY


async def served_in_order(turns: Turns, waiting: list[tuple[str, ...]]) -> list[asyncio.Task]:
    tasks = []
    for account in waiting:
        tasks.append(asyncio.create_task(turns.take(account)))
        await asyncio.sleep(0)
    return tasks


async def test_accounts_get_places_in_turn_however_many_one_asks_for():
    turns = Turns(lambda: 1, lambda: 1)
    await turns.take(ALICE)
    tasks = await served_in_order(turns, [ALICE, ALICE, ALICE, BOB])
    assert turns.waiting == 4
    order = []
    holder = ALICE
    for _ in range(4):
        turns.give_back(holder)
        await until(lambda: any(task.done() and task not in order for task in tasks))
        done = next(task for task in tasks if task.done() and task not in order)
        order.append(done)
        holder = BOB if done is tasks[3] else ALICE
    assert [tasks.index(task) for task in order] == [0, 3, 1, 2]
    turns.give_back(holder)
    assert turns.taken == turns.waiting == 0


async def test_one_name_has_no_more_than_its_part_and_others_pass_it():
    turns = Turns(lambda: 4, lambda: 2)
    await turns.take(ALICE)
    await turns.take(ALICE)
    (waits,) = await served_in_order(turns, [ALICE])
    await turns.take(BOB)
    assert not waits.done()
    turns.give_back(BOB)
    assert not waits.done()
    turns.give_back(ALICE)
    await waits
    assert turns.taken == 2


async def test_who_has_none_gets_a_place_beyond():
    turns = Turns(lambda: 1, lambda: 1, reserved=1)
    await turns.take(ALICE)
    await turns.take(BOB)
    waiting = await served_in_order(turns, [("carol",), ALICE, NOBODY])
    assert turns.waiting == 3
    turns.give_back(ALICE)
    await waiting[0]
    assert not waiting[1].done() and not waiting[2].done()
    turns.give_back(BOB)
    turns.give_back(("carol",))
    await asyncio.gather(waiting[1])
    turns.give_back(ALICE)
    await waiting[2]


async def test_who_leaves_the_line_holds_up_nobody_and_keeps_no_place():
    turns = Turns(lambda: 1, lambda: 1)
    await turns.take(ALICE)
    first, second = await served_in_order(turns, [ALICE, BOB])
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert turns.waiting == 1
    turns.give_back(ALICE)
    second.cancel()  # its turn has come, and it leaves before it knows
    await asyncio.gather(second, return_exceptions=True)
    assert turns.taken == 0
    await turns.take(BOB)


async def test_more_places_than_before_are_given_at_the_next_look():
    places = [1]
    turns = Turns(lambda: places[0], lambda: 9)
    await turns.take(ALICE)
    (waits,) = await served_in_order(turns, [BOB])
    places[0] = 2
    turns.look()
    await waits


def test_work_is_paid_for_over_time_and_little_of_it_waits_for_nothing():
    work = Work(rate=0.5, at_once_s=1.0)
    assert work.wait_s(ALICE, 1.0, 0.0) == 0
    assert work.wait_s(ALICE, 1.0, 0.0) == pytest.approx(2.0)
    assert work.wait_s(BOB, 1.0, 0.0) == 0
    assert work.wait_s(ALICE, 0.0, 100.0) == 0
    assert work.wait_s(NOBODY, 1e9, 0.0) == 0


def test_one_large_piece_of_work_is_begun_at_once_and_paid_for_by_the_next():
    work = Work(rate=0.5, at_once_s=1.0)
    assert work.wait_s(ALICE, 10.0, 0.0) == 0
    assert work.wait_s(ALICE, 0.0, 0.0) == pytest.approx(18.0)


def test_work_forgets_who_has_paid():
    work = Work(rate=1.0, at_once_s=0.0)
    for number in range(3000):
        work.wait_s((f"{number}",), 0.001, float(number))
    assert len(work._paid_at) <= 1002
