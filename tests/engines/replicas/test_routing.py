"""Who takes a request: what it costs there, and what has been read before."""

from dataclasses import replace

import pytest

from qwen_demo.engines.replicas.routing import REMEMBERED, Demand, Ledger, Router
from qwen_demo.types import ChatRequest, Message, ModelInfo, Sampling, Text, Tool
from tests.conftest import image, question

MODEL = ModelInfo("some", min_pixels=4 * 28 * 28, max_pixels=1280 * 28 * 28)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def demand(request: ChatRequest) -> Demand:
    return Demand.of(request, MODEL)


def further(request: ChatRequest, answer: str, words: str) -> ChatRequest:
    """The next question of the same conversation."""
    turns = (Message("assistant", (Text(answer),)), Message("user", (Text(words),)))
    return replace(request, messages=(*request.messages, *turns))


def ledgers(count: int = 2, **more) -> dict[int, Ledger]:
    return {number: Ledger(600.0, **more) for number in range(count)}


def test_an_image_and_words_cost_what_the_model_sees():
    assert demand(question("x" * 300, image(size=(336, 336)))).prompt_tokens == 12 * 12 + 101


def test_equals_are_chosen_in_turn():
    router, among = Router(), ledgers(3)
    chosen = []
    for number in range(6):
        asked = demand(question(f"{number}"))
        chosen.append(router.choose(among, asked))
        among[chosen[-1]].take(asked).end()
    assert chosen == [0, 1, 2, 0, 1, 2]


def test_a_request_goes_where_fewest_tokens_are_outstanding():
    router, among = Router(), ledgers()
    among[0].take(demand(question("short")))
    among[1].take(demand(question("x" * 3000)))
    assert router.choose(among, demand(question("next"))) == 0


def test_what_is_written_is_outstanding_no_more():
    ledger = Ledger(600.0)
    work = ledger.take(demand(question("x" * 30, max_new_tokens=10)))
    assert (ledger.tokens, ledger.requests) == (21, 1)
    work.answered()
    assert ledger.tokens == 9
    work.answered(20)  # more than was asked for
    assert ledger.tokens == 0
    work.end()
    assert (ledger.tokens, ledger.requests) == (0, 0)


def test_what_ends_early_is_outstanding_no_more():
    ledger = Ledger(600.0)
    works = [ledger.take(demand(question("x" * 30))) for _ in range(2)]
    works[0].end()
    assert ledger.tokens == 32  # the second one is known but for its answer
    works[1].end()
    assert ledger.tokens == 0


def test_a_conversation_goes_back_to_where_it_was_read():
    router, among = Router(), ledgers()
    first = question("Describe the image.", image(size=(1036, 756)))
    among[1].take(demand(first)).end()
    among[1].take(demand(question("Somebody else's, who is still at it.")))
    assert router.choose(among, demand(further(first, "A red area.", "Which red?"))) == 1


def test_but_not_into_a_long_line():
    router, among = Router(), ledgers()
    first = question("Describe the image.", image(size=(336, 336)))
    among[1].take(demand(first)).end()
    for number in range(8):
        among[1].take(demand(question(f"{number}", image(size=(1036, 756)))))
    assert router.choose(among, demand(further(first, "A red area.", "Which red?"))) == 0


@pytest.mark.parametrize(
    "other",
    [
        lambda asked: replace(asked, min_pixels=100 * 28 * 28),
        lambda asked: replace(asked, tools=(Tool("look"),)),
        lambda asked: replace(asked, messages=(Message("system", (Text("Be brief."),)), *asked.messages)),
        lambda asked: question("Describe the image!", image(size=(336, 336))),
    ],
    ids=["other bounds of pixels", "a tool", "a system prompt", "other words"],
)
def test_what_differs_before_the_question_is_another_conversation(other):
    asked = question("Describe the image.", image(size=(336, 336)))
    ledger = Ledger(600.0)
    ledger.take(demand(asked)).end()
    assert ledger.known_tokens(demand(asked)) == demand(asked).prompt_tokens
    assert ledger.known_tokens(demand(other(asked))) < demand(asked).prompt_tokens / 2


def test_an_image_that_was_encoded_for_somebody_else_saves_the_encoder():
    ledger = Ledger(600.0)
    ledger.take(demand(question("Read the text.", image(size=(336, 336))))).end()
    assert ledger.known_tokens(demand(question("What is it?", image(size=(336, 336))))) == 36


def test_texts_and_roles_do_not_run_into_each_other():
    def asked(*parts: str) -> ChatRequest:
        return ChatRequest((Message("user", tuple(map(Text, parts))),), Sampling())

    assert demand(asked("a", "b")).turns != demand(asked("ab")).turns
    assert demand(asked("a', 'b")).turns != demand(asked("a", "b")).turns


def test_it_is_forgotten_after_a_while_and_at_once_when_told_so():
    clock = Clock()
    ledger = Ledger(600.0, clock)
    asked = demand(question("Describe the image.", image()))
    ledger.take(asked).end()
    clock.now = 599.0
    assert ledger.known_tokens(asked)
    ledger.take(asked).end()
    clock.now = 1100.0
    assert ledger.known_tokens(asked), "it was asked again meanwhile"
    clock.now = 1199.0
    assert not ledger.known_tokens(asked)
    ledger.take(asked).end()
    ledger.forget()
    assert not ledger.known_tokens(asked)


def test_nothing_is_remembered_where_nothing_is_reused():
    ledger = Ledger(0.0)
    asked = demand(question("Describe the image.", image()))
    ledger.take(asked).end()
    assert not ledger.known_tokens(asked)


def test_what_is_remembered_is_bounded():
    ledger = Ledger(600.0)
    first, last = demand(question("first")), demand(question("last"))
    ledger.take(first).end()
    for number in range(REMEMBERED):
        ledger.take(demand(question(f"{number}"))).end()
    ledger.take(last).end()
    assert len(ledger._read) == REMEMBERED
    assert ledger.known_tokens(last) and not ledger.known_tokens(first)
