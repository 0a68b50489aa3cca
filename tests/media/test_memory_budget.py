"""The memory that callers hold together: counted, bounded, given back."""

import asyncio
import contextlib
import gc

import pytest

from qwen_demo.errors import Overloaded
from qwen_demo.fairness import current_account
from qwen_demo.media.memory_budget import MIB, MemoryBudget
from tests.conftest import until


class Owner:
    pass


async def test_over_the_total_nobody_waits_and_the_refusal_has_the_numbers():
    budget = MemoryBudget(100 * MIB)
    with (
        budget.take(60 * MIB),
        pytest.raises(Overloaded, match=r"take 60 MiB.*one 50 MiB.*100 MiB.*--memory-budget-mib") as told,
    ):
        budget.take(50 * MIB)
    assert told.value.retry_after_s > 0
    with budget.take(50 * MIB):
        assert budget.held_bytes == 50 * MIB
    assert budget.held_bytes == 0


async def test_one_alone_always_fits_and_may_grow():
    budget = MemoryBudget(10)
    with budget.take(100) as share:
        share.grow(100)
        with pytest.raises(Overloaded):
            budget.take(1)
    assert budget.held_bytes == 0


async def test_what_is_kept_counts_until_it_is_collected():
    budget, owner = MemoryBudget(100), Owner()
    with budget.take(80) as share:
        share.keep(30, owner)
    assert budget.held_bytes == 30
    with pytest.raises(Overloaded):
        budget.take(90)
    del owner
    gc.collect()
    assert budget.held_bytes == 0


async def test_short_work_waits_for_its_like_in_turn():
    budget, order, most = MemoryBudget(100), [], 0

    async def decode(name: int) -> None:
        nonlocal most
        async with budget.passing(60):
            most = max(most, budget.held_bytes)
            await asyncio.sleep(0.001)
            order.append(name)

    await asyncio.gather(*map(decode, range(5)))
    assert order == [0, 1, 2, 3, 4]
    assert most == 60
    assert budget.held_bytes == 0


async def test_short_work_does_not_wait_for_what_is_held_for_long():
    budget = MemoryBudget(100)
    with budget.take(70):
        with pytest.raises(Overloaded):
            async with budget.passing(60):
                raise AssertionError("there was no room")
        async with budget.passing(20):
            assert budget.held_bytes == 90


async def test_who_leaves_while_waiting_holds_up_nobody():
    budget, free = MemoryBudget(100), asyncio.Event()

    async def decode(until_: asyncio.Event | None = None) -> str:
        async with budget.passing(80):
            if until_:
                await until_.wait()
            return "done"

    first = asyncio.create_task(decode(free))
    await until(lambda: budget.held_bytes == 80)
    left, third = asyncio.create_task(decode()), asyncio.create_task(decode())
    await asyncio.sleep(0)
    left.cancel()
    free.set()
    assert await asyncio.gather(first, third) == ["done", "done"]
    assert budget.held_bytes == 0


async def test_work_that_is_alone_fits_beside_what_it_holds_itself():
    budget = MemoryBudget(100)
    with budget.take(80):
        async with budget.passing(200, own=80):
            assert budget.held_bytes == 280
        with pytest.raises(Overloaded):
            async with budget.passing(200, own=79):
                raise AssertionError("somebody else holds a byte")


async def test_caches_give_way_one_by_one_before_anybody_is_refused():
    budget, kept = MemoryBudget(100), [Owner() for _ in range(4)]
    for owner in kept:
        with budget.take(20) as share:
            share.keep(20, owner)
    del owner
    dropped = []

    def drop_one() -> bool:
        if not kept:
            return False
        dropped.append(kept.pop(0) is None)
        return True

    budget.add_cache(drop_one)
    with budget.take(30):
        assert len(dropped) == 1 and budget.held_bytes == 90
        async with budget.passing(70):
            assert not kept and budget.held_bytes == 100
        with pytest.raises(Overloaded):
            budget.take(71)


@contextlib.contextmanager
def asked_by(name: str):
    token = current_account.set((name,))
    try:
        yield
    finally:
        current_account.reset(token)


async def test_one_caller_takes_its_part_and_leaves_the_rest_to_others():
    budget = MemoryBudget(100 * MIB, share=0.75)
    with asked_by("alice"), budget.take(50 * MIB) as held:
        with pytest.raises(Overloaded, match=r"Your .* take 50 MiB.*one 30 MiB.*75 MiB.*--caller-share"):
            budget.take(30 * MIB)
        with asked_by("bob"):
            budget.take(40 * MIB).free()
        held.free()
    assert budget.held_bytes == 0


async def test_a_callers_only_claim_fits_where_others_leave_room():
    budget = MemoryBudget(100, share=0.5)
    with asked_by("bob"):
        small = budget.take(10)
    with asked_by("alice"):
        budget.take(80).free()
        with pytest.raises(Overloaded):
            budget.take(95)
    small.free()


async def test_what_is_kept_counts_on_who_made_it():
    budget, owner = MemoryBudget(100, share=0.5), Owner()
    with asked_by("alice"):
        with budget.take(40) as share:
            share.keep(40, owner)
        with pytest.raises(Overloaded):
            budget.take(20)
        del owner
        gc.collect()
        budget.take(20).free()
    assert budget.held_by(("alice",)) == 0


async def test_who_waits_for_its_own_holds_up_nobody_else():
    budget, free = MemoryBudget(100, share=0.5), asyncio.Event()

    async def decode(name: str, until_: asyncio.Event | None = None) -> str:
        with asked_by(name):
            async with budget.passing(40):
                if until_:
                    await until_.wait()
        return name

    first = asyncio.create_task(decode("alice", free))
    await until(lambda: budget.held_bytes == 40)
    second = asyncio.create_task(decode("alice"))
    assert await decode("bob") == "bob"
    assert not second.done()
    free.set()
    await asyncio.gather(first, second)
    assert budget.held_bytes == 0
