"""The scheduler under arbitrary arrivals, cancels and sizes."""

from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qwen_demo.engines.batching.job import SequenceState
from qwen_demo.engines.batching.scheduler import FEW, OVERTAKES, Scheduler


@dataclass(eq=False)
class Named(SequenceState):
    name: int | str


def named(name: int | str, prompt: int = 10, total: int = 20) -> Named:
    return Named(name, prompt_tokens=prompt, total_tokens=total)


class SchedulerMachine(RuleBasedStateMachine):
    """Plays the loop: admits, computes, ends. Keeps its own account of what must hold."""

    @initialize(
        slots=st.integers(1, 5),
        slot_tokens=st.integers(2, 100),
        factor=st.floats(1, 5),
        prefill=st.integers(1, 50),
    )
    def build(self, slots, slot_tokens, factor, prefill):
        self.scheduler = Scheduler(slots, slot_tokens, int(slot_tokens * factor), prefill)
        self.order: list[int] = []
        self.sequences: dict[int, Named] = {}
        self.passed_by: dict[int, int] = {}
        self.ended: set[int] = set()

    @rule(data=st.data())
    def arrive(self, data):
        total = data.draw(st.integers(2, self.scheduler.slot_tokens))
        made = named(len(self.order), data.draw(st.integers(1, total - 1)), total)
        self.order.append(made.name)
        self.sequences[made.name] = made
        self.passed_by[made.name] = 0
        self.scheduler.add(made)

    @rule(data=st.data())
    def admit(self, data):
        before = [t.name for t in self.scheduler.waiting]
        room = self.scheduler.budget_tokens - self.scheduler.reserved_tokens
        admitted = [t.name for t in self.scheduler.admit(lambda t: data.draw(st.integers(0, t.prompt_tokens - 1)))]
        assert admitted == sorted(admitted), "first come, first served among those that fit"
        left = [t.name for t in self.scheduler.waiting]
        assert left == [key for key in before if key not in admitted], "the queue keeps its order"
        for key in left:
            self.passed_by[key] += sum(other > key for other in admitted)
        if (
            before
            and self.scheduler.slots > len(self.scheduler.running)
            and self.sequences[before[0]].total_tokens <= room
        ):
            assert admitted[0] == before[0], "the first is admitted if it fits"

    @precondition(lambda self: self.scheduler.running)
    @rule()
    def step(self):
        chunks = self.scheduler.schedule(lambda _: 0)
        unread = [t for t in self.scheduler.running if not t.is_decoding]
        assert bool(chunks) == bool(unread), "somebody reads if anybody has to"
        assert [c.sequence for c in chunks] == unread[: len(chunks)], "the oldest first"
        tokens = sum(chunk.tokens for chunk in chunks)
        if any(t.is_decoding for t in self.scheduler.running):
            assert tokens <= self.scheduler.prefill_tokens
        for chunk in chunks:
            assert chunk.start == chunk.sequence.prefilled_tokens < chunk.stop <= chunk.sequence.prompt_tokens
            self.scheduler.advance(chunk)

    @precondition(lambda self: len(self.ended) < len(self.order))
    @rule(data=st.data())
    def end(self, data):
        """Finished, failed or cancelled, running or not: the same to the scheduler."""
        key = data.draw(st.sampled_from([k for k in self.order if k not in self.ended]))
        was_running = self.sequences[key] in self.scheduler.running
        assert self.scheduler.remove(self.sequences[key]) is was_running
        self.ended.add(key)

    @invariant()
    def nothing_is_lost_or_doubled(self):
        if not hasattr(self, "scheduler"):
            return
        waiting = [t.name for t in self.scheduler.waiting]
        running = [t.name for t in self.scheduler.running]
        assert sorted(waiting + running) == [k for k in self.order if k not in self.ended]
        assert len(running) <= self.scheduler.slots
        assert self.scheduler.reserved_tokens == sum(self.sequences[k].total_tokens for k in running)
        assert self.scheduler.reserved_tokens <= self.scheduler.budget_tokens

    @invariant()
    def nobody_starves(self):
        if hasattr(self, "scheduler"):
            assert all(self.passed_by[t.name] <= OVERTAKES for t in self.scheduler.waiting)


SchedulerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60)
TestScheduler = SchedulerMachine.TestCase


def scheduler_with(slots: int, prefill_tokens: int = 16, **tokens) -> Scheduler:
    sizes = {"slot_tokens": 100, "budget_tokens": 100, **tokens}
    return Scheduler(slots=slots, prefill_tokens=prefill_tokens, **sizes)


def admitted(scheduler: Scheduler, cached_tokens: int = 0) -> list:
    return [sequence.name for sequence in scheduler.admit(lambda _: cached_tokens)]


def test_a_small_request_overtakes_one_that_does_not_fit_yet():
    scheduler = scheduler_with(slots=4)
    running, large, small = named("running", total=60), named("large", total=90), named("small", total=30)
    scheduler.add(running)
    scheduler.admit(lambda _: 0)
    scheduler.add(large)
    scheduler.add(small)
    assert admitted(scheduler) == ["small"]
    scheduler.remove(running)
    assert admitted(scheduler) == []
    scheduler.remove(small)
    assert admitted(scheduler) == ["large"]


def test_nobody_is_admitted_before_a_request_that_was_overtaken_too_often():
    scheduler = scheduler_with(slots=2)
    running = named("first", total=50)
    scheduler.add(running)
    scheduler.admit(lambda _: 0)
    scheduler.add(named("large", total=100))
    for number in range(OVERTAKES):
        later = named(number, total=50)
        scheduler.add(later)
        assert admitted(scheduler) == [number]
        scheduler.remove(running)
        running = later
    scheduler.add(named("late", total=50))
    assert admitted(scheduler) == []
    scheduler.remove(running)
    assert admitted(scheduler) == ["large"]


def test_an_admission_that_fails_leaves_the_others_in_the_queue():
    scheduler = scheduler_with(slots=4)
    scheduler.add(named("running", total=60))
    scheduler.admit(lambda _: 0)
    for name, total in (("large", 90), ("small", 30), ("last", 10)):
        scheduler.add(named(name, prompt=5, total=total))

    def fail(sequence):
        raise MemoryError

    with pytest.raises(MemoryError):
        scheduler.admit(fail)
    assert [sequence.name for sequence in scheduler.waiting] == ["large", "last"]
    assert [sequence.name for sequence in scheduler.running] == ["running", "small"]


def test_a_prompt_is_computed_whole_when_nobody_has_to_wait_for_it():
    scheduler = scheduler_with(slots=2, slot_tokens=1000, budget_tokens=2000)
    scheduler.add(named("long", prompt=500, total=600))
    assert [(c.start, c.stop) for c in scheduler.schedule(lambda _: 100)] == [(100, 500)]


def test_a_long_prompt_is_computed_in_chunks_while_others_answer():
    scheduler = scheduler_with(slots=2, slot_tokens=1000, budget_tokens=2000)
    scheduler.add(named("answering", prompt=5, total=50))
    scheduler.advance(scheduler.schedule(lambda _: 0)[0])
    scheduler.add(named("long", prompt=40, total=100))
    spans = []
    while chunks := scheduler.schedule(lambda _: 0):
        spans += [(c.start, c.stop) for c in chunks]
        for chunk in chunks:
            scheduler.advance(chunk)
    assert spans == [(0, 16), (16, 32), (32, 40)]


def reading(scheduler: Scheduler, prompts: list[int], answers: int) -> list[tuple[int, int]]:
    """The chunks of the next step, with so many answers being written."""
    for number in range(answers):
        scheduler.add(named(f"answer {number}", 1, 3))
    scheduler.admit(lambda sequence: 0)
    for sequence in scheduler.running:
        sequence.prefilled_tokens = sequence.prompt_tokens
    for number, prompt in enumerate(prompts):
        scheduler.add(named(number, prompt, prompt + 1))
    return [(chunk.start, chunk.stop) for chunk in scheduler.schedule(lambda sequence: 0)]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (FEW + 1, [(0, 70), (0, 30)]),  # cut where the pass is full
        (FEW, [(0, 70), (0, 90)]),
        (0, [(0, 70), (0, 90)]),
    ],
)
def test_a_pass_beside_answers_is_full_and_twice_as_long_beside_few(answers, expected):
    scheduler = Scheduler(64, 1000, 10_000, prefill_tokens=100, pass_tokens=300, quiet_tokens=200)
    assert reading(scheduler, [70, 90], answers) == expected


def test_no_pass_is_longer_than_one_can_be():
    scheduler = Scheduler(64, 1000, 10_000, prefill_tokens=100, pass_tokens=300, quiet_tokens=200)
    assert reading(scheduler, [900], 0) == [(0, 300)]
