"""The end of an answer under a JSON schema is true."""

import json

import llguidance
import pytest
import torch

from qwen_demo.engines.grammar import COMPACT, Constraint, Grammars, _with_bounds, _without_notes
from qwen_demo.engines.tokens import end_ids

OBJECT = {"type": "object", "properties": {"ok": {"type": "string"}}, "required": ["ok"]}
# Each object needs another one inside: no answer is ever whole.
NODE = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/Node"}},
    "required": ["next"],
    "additionalProperties": False,
}
ENDLESS = json.dumps({"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"})


@pytest.fixture(scope="module")
def ends(loaded) -> frozenset[int]:
    return end_ids(loaded.model)


@pytest.fixture(scope="module")
def grammars(loaded, ends) -> Grammars:
    return Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, ends)


def write(constraint: Constraint, ends: frozenset[int], tokens: int = 200) -> list[int]:
    """Ids of an answer of a model that has no preferences, until it ends or cannot go on."""
    torch.manual_seed(0)
    ids: list[int] = []
    while constraint.failure is None and len(ids) < tokens and not (ids and ids[-1] in ends):
        logits = torch.randn(1, constraint._bits.shape[-1] * 32)
        constraint.apply(logits)
        if constraint.failure is None:
            ids.append(int(logits.argmax()))
            constraint.accept(ids[-1])
    return ids


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "boolean"},
        {"enum": ["a", 3, None]},
        {"type": "string", "maxLength": 4},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
        {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}},
            "required": ["ok"],
            "additionalProperties": False,
        },
    ],
)
def test_an_answer_that_ends_is_whole(grammars, ends, loaded, schema):
    constraint = grammars.constraint(json.dumps(schema))
    ids = write(constraint, ends)
    assert constraint.failure is None
    assert ids[-1] in ends
    json.loads(loaded.prompts.tokenizer.decode(ids[:-1]))


def test_a_grammar_that_never_ends_is_a_failure_and_no_end(grammars, ends):
    constraint = grammars.constraint(ENDLESS)
    ids = write(constraint, ends)
    assert not ends.intersection(ids)
    assert constraint.failure is not None
    assert constraint.failure.field == "response_format"


def test_an_error_of_the_library_is_a_failure_and_no_end(grammars, ends, caplog):
    grammars.constraint(json.dumps(OBJECT))
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(OBJECT), defaults=COMPACT)
    limits = llguidance.LLParserLimits(initial_lexer_fuel=100_000, step_lexer_fuel=1)
    matcher = llguidance.LLMatcher(grammars._prepared, grammar, limits=limits)
    constraint = Constraint(matcher, grammars._vocabulary)
    ids = write(constraint, ends)
    assert matcher.is_error()
    assert "dead end or is too large" in str(constraint.failure)
    assert not ends.intersection(ids)
    assert '"ok"' not in caplog.text  # a caller's own words


def test_what_failed_stays_failed_and_leaves_the_logits_alone(grammars):
    constraint = grammars.constraint(json.dumps(OBJECT))
    constraint.accept(0)  # an exclamation mark begins no object
    assert constraint.failure is not None
    logits = torch.zeros(1, 10)
    constraint.apply(logits)
    constraint.accept(0)
    assert torch.equal(logits, torch.zeros(1, 10))


@pytest.mark.parametrize("name", ["secret", "example", "default", "required", "const", "enum", "examples"])
def test_a_member_may_have_any_name(name):
    schema = {"properties": {name: {"type": "string", "format": "password"}}, "$defs": {name: {"type": "integer"}}}
    assert _without_notes(schema)["properties"] == {name: {"type": "string"}}
    assert _with_bounds(schema)["$defs"][name]["maximum"] == 2**53 - 1
    assert _without_notes({"default": {"format": "password"}}) == {"default": {"format": "password"}}
