"""Nobody's many answers make another's few slow, where each row of a step costs time."""

import asyncio
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from qwen_demo.engines.batching.shares import StepShares
from qwen_demo.types import ChatRequest, Message, Sampling, Text, collect
from tests.conftest import until
from tests.engines.batching.conftest import alone


def jobs_of(*accounts: tuple[str, ...]) -> list:
    return [SimpleNamespace(request=SimpleNamespace(account=account)) for account in accounts]


def steps_taken(running: list, steps: int) -> list[int]:
    shares = StepShares()
    taken = Counter(id(job) for _ in range(steps) for job in shares.taking_part(running))
    return [taken[id(job)] for job in running]


@pytest.mark.parametrize(
    ("accounts", "steps"),
    [
        ([("a",)] * 7 + [("b",)], [20] * 7 + [70]),
        ([("a",)] * 4 + [("b",)] * 2 + [("c",)], [35] * 4 + [70] * 3),
        # One address has all of them, whatever keys it calls them by.
        ([("a", "key 1")] * 2 + [("a", "key 2")] * 5 + [("b",)], [20] * 7 + [70]),
        ([("a",)] * 8, [70] * 8),
        ([()] * 3 + [("b",)], [70] * 4),
    ],
)
def test_who_has_most_running_sits_out_steps(accounts, steps):
    assert steps_taken(jobs_of(*accounts), 70) == steps


def test_all_take_part_where_rows_cost_nothing():
    running = jobs_of(("a",), ("a",), ("a",), ("b",))
    shares = StepShares(lambda: False)
    assert all(shares.taking_part(running) == running for _ in range(5))


def ask(name: str, account: str, tokens: int) -> ChatRequest:
    words = Message("user", (Text(f"Tell me story {name} of two cats and a bicycle, please."),))
    return ChatRequest(
        (words,), Sampling(max_new_tokens=tokens), request_id=name, repetition_guard=False, account=(account,)
    )


@pytest.mark.slow
async def test_few_answers_go_on_faster_among_many_and_all_stay_exact(started, loaded, answer_ids, endless):
    many = [ask(f"many {number}", "many", 60) for number in range(6)]
    few = ask("few", "few", 24)
    async with started(slots=8) as engine:
        tasks = [asyncio.create_task(collect(engine.stream(request))) for request in many]
        await until(lambda: all(len(answer_ids[request.request_id]) >= 4 for request in many))
        before = {request.request_id: len(answer_ids[request.request_id]) for request in many}
        answer = await collect(engine.stream(few))
        ahead = [len(answer_ids[request.request_id]) - before[request.request_id] for request in many]
        await asyncio.gather(*tasks)
    assert answer.finished.usage.completion_tokens == 24
    # A third of the steps each, and those before it came and after it left.
    assert max(ahead) <= 24 / 3 + 8
    for request in [*many, few]:
        assert answer_ids[request.request_id] == alone(loaded, replace(request, account=()))
