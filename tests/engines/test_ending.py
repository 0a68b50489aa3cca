"""Calls under a grammar end in time: their arguments are whole however few tokens there are and whatever is said."""

import json
from dataclasses import replace

import pytest
import torch

from qwen_demo.engines.ending import ESCAPED, IN_STRING, OUTSIDE, Closers
from qwen_demo.engines.grammar import Grammars
from qwen_demo.engines.tokens import end_ids
from qwen_demo.types import Held, Tool, collect
from tests.conftest import question
from tests.engines.test_tools import NAMED, service

__all__ = ["service"]

LIST = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}}
SCHEMAS = [
    {"properties": {"city": {"type": "string"}}, "required": ["city"]},
    {"properties": {"city": {"type": "string"}, "more": {"type": "string"}}},
    {"properties": {"many": LIST, "also": {"enum": ["x", "y"]}}, "required": ["many", "also"]},
    {"properties": {"n": {"type": "number"}}, "required": ["n"]},
    {"properties": {"any": {}}, "required": ["any"]},
    {"additionalProperties": {"type": "string"}},
    {"properties": {"deep": {"type": "object", "properties": {"s": {"type": "string"}}, "required": ["s"]}}},
]


@pytest.fixture(scope="module")
def grammars(loaded) -> Grammars:
    return Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, end_ids(loaded.model))


def written(loaded, constraint, most: int, seed: int) -> list[int]:
    """Ids of a model that says anything, more likely no end."""
    torch.manual_seed(seed)
    ends, ids = end_ids(loaded.model), []
    while len(ids) < most and not (ids and ids[-1] in ends):
        logits = torch.randn(1, loaded.model.config.text_config.vocab_size)
        logits[0, list(ends)] -= 4
        constraint.apply(logits)
        assert constraint.failure is None
        ids.append(int(logits.argmax()))
        constraint.accept(ids[-1])
    return ids


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
@pytest.mark.parametrize("most", [90, 200])
def test_a_model_that_finds_no_end_is_given_one(loaded, grammars, schema, most):
    tool, cuts = Tool("f", parameters=json.dumps({"type": "object"} | schema)), []
    for seed in range(3):
        constraint = grammars.of(Held(None, (tool,)), most, lambda: cuts.append(1))
        ids = written(loaded, constraint, most, seed)
        assert ids[-1] in end_ids(loaded.model)
        first = loaded.prompts.tokenizer.decode(ids[:-1]).split("</tool_call>")[0]
        inside = first.removeprefix('<tool_call>\n{"name": "f", "arguments": ').removesuffix("}\n")
        assert set(schema.get("required", ())) <= set(json.loads(inside))
    assert cuts


def test_a_loop_is_ended_long_before_the_tokens_are(loaded, grammars):
    tool = Tool("f", parameters=json.dumps({"type": "object"} | SCHEMAS[0]))
    (word,) = loaded.prompts.tokenizer("a", add_special_tokens=False)["input_ids"]
    for guard in (True, False):
        constraint, count, ends = grammars.of(Held(None, (tool,), 1, guard), 600), 0, False
        while not ends:
            logits = torch.zeros(1, loaded.model.config.text_config.vocab_size)
            logits[0, word] = 1
            constraint.apply(logits)
            token = int(logits.argmax())
            constraint.accept(token)
            count, ends = count + 1, token in end_ids(loaded.model)
        assert (count < 300) == guard


@pytest.mark.parametrize(
    ("tokens", "place"),
    [
        (['{"'], IN_STRING),
        (['{"', "a", '":'], OUTSIDE),
        (['"', "\\"], ESCAPED),
        (['"', "\\", '"'], IN_STRING),
        (['"', "\\", '"}'], IN_STRING),
        (['"', "\\\\"], IN_STRING),
        (['"', "\\\\", '"'], OUTSIDE),
        (['"', '\\"', "x\\n", '"]'], OUTSIDE),
    ],
)
def test_where_an_answer_stands_is_known(tokens, place):
    class Tokenizer:
        def get_vocab(self):
            return {token: number for number, token in enumerate(dict.fromkeys(tokens))}

    closers = Closers(Tokenizer(), 10, [])
    at = OUTSIDE
    for token in tokens:
        at = closers.after(Tokenizer().get_vocab()[token], at)
    assert at == place


async def test_the_embedded_models_arguments_are_whole_where_it_would_write_on(service):
    tool = Tool("count", parameters=json.dumps({"type": "object"} | SCHEMAS[0]))
    asked = question("What is the weather in Paris?", max_new_tokens=60)
    answer = await collect(service.answer(replace(asked, tools=(tool,), tool_choice=NAMED, parallel_tool_calls=False)))
    (call,) = answer.tool_calls
    assert set(json.loads(call.arguments)) == {"city"}
    assert (answer.text, answer.finished.reason) == ("", "length")
    assert answer.finished.usage.completion_tokens <= 60
