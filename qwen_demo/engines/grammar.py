"""Answers that must be JSON or calls of tools: masks of the tokens that may come next, by the llguidance library.

A `Constraint` follows one answer. The mask is computed on the CPU from the grammar's state, some
tens of microseconds a token, and put over the logits before anything else looks at them.
"""

import json
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

import llguidance
import llguidance.hf
import llguidance.numpy
import numpy
import torch

from qwen_demo.engines.ending import Closers, Ending
from qwen_demo.engines.schema_bounds import too_much
from qwen_demo.errors import InvalidRequest
from qwen_demo.models.tools.hermes import CLOSE, OPEN, json_text
from qwen_demo.sentences import Sentence
from qwen_demo.types import Held, Tool

log = logging.getLogger(__name__)

# Where blanks are free a small model fills the answer with them.
COMPACT: Any = {"whitespace_flexible": False}
# The same for arguments, with the blanks that the model has learned to write there.
AS_TRAINED: Any = COMPACT | {"item_separator": ", ", "key_separator": ": "}
OPTIONS = "x-guidance"  # the library's own word in a schema, which is not the caller's to say
LONGEST_SCHEMA = 65_536
# Those that it holds an answer to; words of a schema that hold values and no schemas.
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"}
_VALUES = {"const", "enum", "default", "examples", "example", "required"}
# Those whose members are names of the caller's own, which may be any of these words, with a schema each.
_NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_PLACE = re.compile(r"(?:at )?\d+\(\d+\): |failed to compile JSON schema: ")
# Whole numbers that every program reads as they are written (RFC 8259); a small model writes digits without an end.
_LARGEST_WHOLE = 2**53 - 1
_LOW, _HIGH, _CHOSEN = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}, {"enum", "const", "multipleOf"}
# What opens an object to more members than `properties` names.
_OPENING = {"additionalProperties", "patternProperties", "unevaluatedProperties", "allOf", "anyOf", "oneOf", "$ref"}


class Grammars:
    """Makes constraints for one tokenizer. Safe to use from several threads.

    Args:
        tokenizer: a fast transformers tokenizer.
        vocabulary: how many logits the model gives, which may be more than the tokenizer has tokens.
        end_ids: tokens that end an answer.
    """

    def __init__(self, tokenizer, vocabulary: int, end_ids: frozenset[int]):
        self._tokenizer, self._vocabulary, self._end_ids = tokenizer, vocabulary, sorted(end_ids)
        self._prepared: llguidance.LLTokenizer | None = None
        self._closers: Closers | None = None
        self._lock = threading.Lock()

    def of(
        self, held: Held | None, max_new_tokens: int, on_cut: Callable[[], None] = lambda: None
    ) -> "Constraint | None":
        """What holds an answer to that. Raises `InvalidRequest` as `constraint` does.

        Args:
            max_new_tokens: of the answer; calls are brought to their end before.
            on_cut: called if that is not where the model would have ended them.
        """
        if held is None:
            return None
        if not held.tools:
            assert held.json_schema is not None, "an answer that is held to nothing"
            return self.constraint(held.json_schema)
        tokens = self._tokens()
        schema = _loaded(held.json_schema) if held.json_schema else None
        if found := too_much([schema, *(json.loads(tool.parameters) for tool in held.tools)]):
            raise _unusable(found[1], held.tools[found[0] - 1] if found[0] else None)
        matcher = llguidance.LLMatcher(tokens, llguidance.LLMatcher.grammar_from_lark(self._lark(held, schema)))
        if matcher.is_error():
            if schema is not None:
                self.constraint(json.dumps(schema))  # which of them it is
            for tool in held.tools:
                alone = llguidance.LLMatcher.grammar_from_lark(self._lark(Held(None, (tool,)), None))
                if (one := llguidance.LLMatcher(tokens, alone)).is_error():
                    raise _unusable(one.get_error(), tool)
            raise _unusable(matcher.get_error(), held.tools[0])
        constraint = Constraint(matcher, self._vocabulary, "tools")
        constraint.ending = Ending(matcher, self._what_closes(), max_new_tokens, on_cut, held.repetition_guard)
        return constraint

    def constraint(self, json_schema: str) -> "Constraint":
        """Raises `InvalidRequest` when the schema is not one, or uses what cannot be enforced."""
        try:
            schema = _with_bounds(_loaded(json_schema))
            if found := too_much([schema]):
                raise _unusable(found[1])
            grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults=COMPACT)
        except ValueError as error:
            raise _unusable(error) from error
        matcher = llguidance.LLMatcher(self._tokens(), grammar)
        if matcher.is_error():
            raise _unusable(matcher.get_error())
        return Constraint(matcher, self._vocabulary)

    def _tokens(self) -> llguidance.LLTokenizer:
        with self._lock:
            if self._prepared is None:
                self._prepared = llguidance.hf.from_tokenizer(
                    self._tokenizer, n_vocab=self._vocabulary, eos_token=self._end_ids
                )
            return self._prepared

    def _what_closes(self) -> Closers:
        with self._lock:
            if self._closers is None:
                self._closers = Closers(self._tokenizer, self._vocabulary, self._end_ids)
            return self._closers

    def _lark(self, held: Held, schema: Any) -> str:
        """Calls of the tools as `models/tools/hermes.py` writes them, or an answer of JSON, in Lark's notation."""
        begin, end = self._mark(OPEN), self._mark(CLOSE)
        tools = [
            f"tool{n}: {_text(_head(tool))} %json {_parameters(tool)} {_text('}')}" for n, tool in enumerate(held.tools)
        ]
        names = " | ".join(f"tool{n}" for n in range(len(tools)))
        rules = [
            f"calls: call (LINE call){{0,{held.most_calls - 1}}}" if held.most_calls > 1 else "calls: call",
            f"call: {begin} LINE ({names}) LINE {end}",
            f"LINE: {_text(chr(10))}",
            *tools,
        ]
        if schema is None:
            return "\n".join(["start: calls", *rules])
        return "\n".join(["start: calls | answer", f"answer: %json {_json(_with_bounds(schema), COMPACT)}", *rules])

    def _mark(self, tag: str) -> str:
        """Where the vocabulary has a token for it, only that token will do."""
        token = self._tokenizer.get_added_vocab().get(tag)
        if token is None or not self._tokens().is_special_token(token):
            return _text(tag)
        return f"<[{token}]>"


def _loaded(json_schema: str) -> Any:
    if len(json_schema) > LONGEST_SCHEMA:
        raise InvalidRequest(
            Sentence(
                "The JSON schema has {count} characters; at most {limit} are read.",
                count=len(json_schema),
                limit=LONGEST_SCHEMA,
            ),
            field="response_format",
        )
    try:
        schema = json.loads(json_schema)
    except (ValueError, RecursionError) as error:
        raise _unusable(error) from error
    if isinstance(schema, dict):
        schema.pop(OPTIONS, None)
    return schema


def _head(tool: Tool) -> str:
    """A call, up to its arguments."""
    return f'{{"name": {json_text(tool.name)}, "arguments": '


def _parameters(tool: Tool) -> str:
    """Its schema without members that it does not name, which a small model would invent."""
    schema = _with_bounds(_without_notes(json.loads(tool.parameters))) | {"type": "object"}
    if not _OPENING.intersection(schema):
        schema["additionalProperties"] = False
    return _json(schema, AS_TRAINED)


def _without_notes(schema: Any) -> Any:
    """Without what the library refuses and what holds nothing: formats that only tell people something, as numbers of
    OpenAPI have them, and names that are strings."""
    if isinstance(schema, list):
        return [_without_notes(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _each(key, value, _without_notes)
        for key, value in schema.items()
        if not (key == "format" and isinstance(value, str) and value not in _FORMATS)
        and not (key == "propertyNames" and value == {"type": "string"})
    }


def _each(key: str, value: Any, change: Callable[[Any], Any]) -> Any:
    """What a schema has at `key`, with the schemas in it changed."""
    if key in _NAMED and isinstance(value, dict):
        return {name: change(schema) for name, schema in value.items()}
    return value if key in _VALUES else change(value)


def _with_bounds(schema: Any) -> Any:
    """With a range for whole numbers that have none, or none on one side."""
    if isinstance(schema, list):
        return [_with_bounds(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _each(key, value, _with_bounds) for key, value in schema.items()}
    types = found.get("type")
    whole = types == "integer" or (isinstance(types, list) and "integer" in types and "number" not in types)
    given = [found[key] for key in (_LOW | _HIGH) & set(found)]
    beyond = not all(isinstance(bound, int | float) and abs(bound) < _LARGEST_WHOLE for bound in given)
    if not whole or beyond or not _CHOSEN.isdisjoint(found):
        return found
    if _LOW.isdisjoint(found):
        found["minimum"] = -_LARGEST_WHOLE
    if _HIGH.isdisjoint(found):
        found["maximum"] = _LARGEST_WHOLE
    return found


def _json(schema: Any, options: Any) -> str:
    return json.dumps(schema | {OPTIONS: options} if isinstance(schema, dict) else schema)


def _text(words: str) -> str:
    """Words to the letter, in Lark's notation."""
    return json.dumps(words)


def _unusable(error: object, tool: Tool | None = None) -> InvalidRequest:
    # The library adds its own grammar, line by line.
    why = _PLACE.sub("", str(error).partition("\n")[0])[:400]
    if tool is None:
        words = Sentence("The JSON schema cannot be used: {why}", why=why)
        return InvalidRequest(words, field="response_format")
    return InvalidRequest(f"The parameters of the tool {tool.name} cannot be used: {why}", field="tools")


class Constraint:
    """The grammar's state along one answer.

    Args:
        field: of the request, that it comes from.

    Attributes:
        ending: brings it to its end in time; None lets it be cut.
        failure: why the answer cannot go on: a dead end of the grammar, or an error of the library, which would
            allow the end token then. Once set, the logits stay as they are, and no token counts.
    """

    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: int, field: str = "response_format"):
        self._matcher, self._field = matcher, field
        self._bits = llguidance.numpy.allocate_token_bitmask(1, vocabulary)
        self.ending: Ending | None = None
        self.failure: InvalidRequest | None = None

    def apply(self, logits: torch.Tensor) -> None:
        """Rule out, in place, what may not come next. `logits`: [1, vocabulary] float32."""
        if self.failure is not None:
            return
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._bits)
        if self._matcher.is_error():
            self._fail(self._matcher.get_error())
        elif not self._bits.any() or (self._matcher.is_stopped() and not self._matcher.is_accepting()):
            self._fail("nothing may come next")
        if self.failure is not None:
            return
        # The library's own function for PyTorch brings its compiler with it: seconds at import, and again at the first
        # call. Shifts of a number for each of 150,000 words take milliseconds on a CPU, this some microseconds.
        bits = numpy.unpackbits(self._bits.view(numpy.uint8), axis=-1, count=logits.shape[-1], bitorder="little")
        logits.masked_fill_(torch.from_numpy(bits).to(logits.device) == 0, -torch.inf)
        if self.ending is not None:
            self.ending.narrow(logits)

    def accept(self, token: int) -> None:
        """`token` was chosen."""
        if self.ending is not None:
            self.ending.accept(token)
        if self.failure is None and not self._matcher.consume_token(token):
            self._fail(self._matcher.get_error() or "a token does not fit")

    def _fail(self, why: str) -> None:
        # The library adds the grammar and the answer so far, which are the caller's own.
        log.error("a grammar of an answer came to its end: %s", why.partition("\n")[0][:200])
        self.failure = InvalidRequest(
            "The answer cannot go on under the JSON schema: its grammar came to a dead end or is too large. "
            "Ask with a simpler schema.",
            field=self._field,
        )
