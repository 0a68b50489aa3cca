"""The policy under arbitrary arrivals, cancels and sizes."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qwen_demo.engines.batching.policy import OVERTAKES, Policy, Ticket


def ticket(key, prompt=10, total=20) -> Ticket:
    return Ticket(key, prompt, total)


class PolicyMachine(RuleBasedStateMachine):
    """Plays the worker: admits, reads, ends. Keeps its own account of what must hold."""

    @initialize(
        slots=st.integers(1, 5),
        slot_tokens=st.integers(2, 100),
        factor=st.floats(1, 5),
        prefill=st.integers(1, 50),
    )
    def build(self, slots, slot_tokens, factor, prefill):
        self.policy = Policy(slots, slot_tokens, int(slot_tokens * factor), prefill)
        self.order: list[int] = []
        self.tickets: dict[int, Ticket] = {}
        self.passed_by: dict[int, int] = {}
        self.ended: set[int] = set()

    @rule(data=st.data())
    def arrive(self, data):
        total = data.draw(st.integers(2, self.policy.slot_tokens))
        made = ticket(len(self.order), data.draw(st.integers(1, total - 1)), total)
        self.order.append(made.key)
        self.tickets[made.key] = made
        self.passed_by[made.key] = 0
        self.policy.add(made)

    @rule(data=st.data())
    def admit(self, data):
        before = [t.key for t in self.policy.waiting]
        room = self.policy.budget_tokens - self.policy.reserved_tokens
        admitted = [t.key for t in self.policy.admit(lambda t: data.draw(st.integers(0, t.prompt_tokens - 1)))]
        assert admitted == sorted(admitted), "first come, first served among those that fit"
        left = [t.key for t in self.policy.waiting]
        assert left == [key for key in before if key not in admitted], "the queue keeps its order"
        for key in left:
            self.passed_by[key] += sum(other > key for other in admitted)
        if before and self.policy.slots > len(self.policy.running) and self.tickets[before[0]].total_tokens <= room:
            assert admitted[0] == before[0], "the first is admitted if it fits"

    @precondition(lambda self: self.policy.running)
    @rule()
    def step(self):
        pieces = self.policy.pieces()
        unread = [t for t in self.policy.running.values() if not t.is_decoding]
        assert bool(pieces) == bool(unread), "somebody reads if anybody has to"
        assert [p.ticket for p in pieces] == unread[: len(pieces)], "the oldest first"
        tokens = sum(p.stop - p.start for p in pieces)
        if any(t.is_decoding for t in self.policy.running.values()):
            assert tokens <= self.policy.prefill_tokens
        for piece in pieces:
            assert piece.start == piece.ticket.read_tokens < piece.stop <= piece.ticket.prompt_tokens
            self.policy.read(piece)

    @precondition(lambda self: len(self.ended) < len(self.order))
    @rule(data=st.data())
    def end(self, data):
        """Finished, failed or cancelled, running or not: the same to the policy."""
        key = data.draw(st.sampled_from([k for k in self.order if k not in self.ended]))
        was_running = key in self.policy.running
        assert self.policy.remove(key) is was_running
        self.ended.add(key)

    @invariant()
    def nothing_is_lost_or_doubled(self):
        if not hasattr(self, "policy"):
            return
        waiting = [t.key for t in self.policy.waiting]
        running = list(self.policy.running)
        assert sorted(waiting + running) == [k for k in self.order if k not in self.ended]
        assert len(running) <= self.policy.slots
        assert self.policy.reserved_tokens == sum(self.tickets[k].total_tokens for k in running)
        assert self.policy.reserved_tokens <= self.policy.budget_tokens

    @invariant()
    def nobody_starves(self):
        if hasattr(self, "policy"):
            assert all(self.passed_by[t.key] <= OVERTAKES for t in self.policy.waiting)


PolicyMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestPolicy = PolicyMachine.TestCase


def drained(policy: Policy) -> list:
    """Order of admission when every running request ends after each turn."""
    order = []
    while policy.waiting:
        order += [t.key for t in policy.admit(lambda t: 0)]
        for key in list(policy.running):
            policy.remove(key)
    return order


def test_a_small_request_overtakes_one_that_does_not_fit_yet():
    policy = Policy(slots=4, slot_tokens=100, budget_tokens=100, prefill_tokens=16)
    policy.add(ticket("running", total=60))
    policy.admit(lambda t: 0)
    policy.add(ticket("large", total=90))
    policy.add(ticket("small", total=30))
    assert [t.key for t in policy.admit(lambda t: 0)] == ["small"]
    policy.remove("running")
    policy.remove("small")
    assert drained(policy) == ["large"]


def test_the_door_shuts_for_a_request_that_was_overtaken_too_often():
    policy = Policy(slots=2, slot_tokens=100, budget_tokens=100, prefill_tokens=16)
    policy.add(ticket("first", total=50))
    policy.admit(lambda t: 0)
    policy.add(ticket("large", total=100))
    running = "first"
    for number in range(OVERTAKES):
        policy.add(ticket(number, total=50))
        assert [t.key for t in policy.admit(lambda t: 0)] == [number]
        policy.remove(running)
        running = number
    policy.add(ticket("late", total=50))
    assert policy.admit(lambda t: 0) == []
    policy.remove(running)
    assert [t.key for t in policy.admit(lambda t: 0)] == ["large"]


def test_a_prompt_is_read_whole_when_nobody_has_to_wait_for_it():
    policy = Policy(slots=2, slot_tokens=1000, budget_tokens=2000, prefill_tokens=16)
    policy.add(ticket("long", prompt=500, total=600))
    policy.admit(lambda t: 100)
    assert [(p.start, p.stop) for p in policy.pieces()] == [(100, 500)]


def test_a_long_prompt_is_read_in_pieces_while_others_answer():
    policy = Policy(slots=2, slot_tokens=1000, budget_tokens=2000, prefill_tokens=16)
    policy.add(ticket("answering", prompt=5, total=50))
    policy.admit(lambda t: 0)
    policy.read(policy.pieces()[0])
    policy.add(ticket("long", prompt=40, total=100))
    policy.admit(lambda t: 0)
    spans = []
    while pieces := policy.pieces():
        spans += [(p.start, p.stop) for p in pieces]
        for piece in pieces:
            policy.read(piece)
    assert spans == [(0, 16), (16, 32), (32, 40)]
