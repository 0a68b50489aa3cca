"""Reads the calls of tools out of an answer while it is written.

Text before a call goes on at once. What looks like a call and is none stays text, to the letter. How the answer was
cut into pieces makes no difference.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

from qwen_demo.models.tools.hermes import CLOSE, OPEN, json_text
from qwen_demo.models.tools.json_object import JsonObject
from qwen_demo.types import ChatRequest, Event, Finished, FinishReason, TextDelta, TokenLogprob, ToolCallDelta

# A call under a grammar, up to its arguments.
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"arguments"\s*:\s*(?=\{)')
# What may stand between a call and its end: small models close a bracket too many.
_AFTER_CALL = re.compile(r"[\s}]*")

Told = list[TextDelta | ToolCallDelta]


class CallReader:
    """The calls of one answer.

    Args:
        request: what was asked. Where a grammar holds the answer, arguments are told as they are written; a free call
            only when it is whole, as it may turn out to be none.
        new_id: makes the id of a call.

    Attributes:
        calls: how many have begun.
    """

    def __init__(self, request: ChatRequest, new_id: Callable[[], str] = lambda: f"call_{secrets.token_hex(12)}"):
        self._names = {tool.name for tool in request.callable_tools}
        self._held = request.held is not None
        self._new_id, self._one = new_id, not request.parallel_tool_calls
        # An answer of JSON is either that or calls: what its strings hold is no call.
        self._state: Callable[[Told], bool] = self._in_text
        if request.held and request.held.json_schema:
            self._state = self._at_start
        self._rest = self._before = ""
        self._json, self._told_until = JsonObject(), 0
        self._logprobs: tuple[TokenLogprob, ...] = ()
        self.calls = 0

    def read(self, event: Event) -> Iterator[Event]:
        """What the caller is told of an engine's event."""
        if not self._names:
            yield event
        elif isinstance(event, TextDelta):
            self._logprobs += event.logprobs
            yield from self._with_logprobs(self.push(event.text))
        elif isinstance(event, ToolCallDelta):  # another server has read it
            self.calls = max(self.calls, event.index + 1)
            if not (self._one and event.index):
                yield event
        else:
            yield from self._with_logprobs(self.end())
            yield replace(event, reason=self._reason(event))

    def push(self, text: str) -> Told:
        """Take the next piece; gives what is certain now."""
        self._rest += text
        told: Told = []
        while self._rest and self._state(told):
            pass
        return told

    def end(self) -> Told:
        """The answer is over: what has begun is a call no more, unless a grammar holds it."""
        rest, self._rest = self._rest, ""
        if self._state in (self._in_arguments, self._after_call):
            return []
        if self._state == self._in_call:
            rest = self._before + OPEN + rest
        if not rest or (self._held and OPEN.startswith(rest[: len(OPEN)])) or (self.calls and not rest.strip()):
            return []
        return [TextDelta(rest)]

    def _with_logprobs(self, told: Told) -> Told:
        """Those of tokens that were held back go with the next that is told."""
        if told:
            told[0] = replace(told[0], logprobs=self._logprobs)
            self._logprobs = ()
        return told

    def _reason(self, finished: Finished) -> FinishReason:
        if self.calls:
            return "tool_calls" if finished.reason == "stop" else finished.reason
        return "stop" if finished.reason == "tool_calls" else finished.reason

    # States: each takes of `_rest` what it can, and says whether to go on.

    def _at_start(self, told: Told) -> bool:
        begin = self._rest.lstrip()[: len(OPEN)]
        if begin == OPEN or not OPEN.startswith(begin):
            self._state = self._in_text if begin == OPEN else self._in_words
            return True
        return False

    def _in_words(self, told: Told) -> bool:
        told.append(TextDelta(self._rest))
        self._rest = ""
        return False

    def _in_text(self, told: Told) -> bool:
        at = self._rest.find(OPEN)
        end = at if at >= 0 else len(self._rest) - _begun(self._rest)
        words = self._rest[:end].rstrip()  # spaces before a call are none of the answer's words
        if words:
            told.append(TextDelta(words))
        if at < 0:
            self._rest = self._rest[len(words) :]
            return False
        self._before = self._rest[len(words) : at]
        self._rest = self._rest[at + len(OPEN) :]
        self._begin(self._in_call)
        return True

    def _begin(self, state: Callable[[Told], bool]) -> None:
        self._state, self._json, self._told_until = state, JsonObject(), 0

    def _in_call(self, told: Told) -> bool:
        begin = self._rest.lstrip()[:1]
        if self._held and (head := _HEAD.match(self._rest)) and head[1] in self._names:
            self._tell(told, head[1])
            self._rest = self._rest[head.end() :]
            self._begin(self._in_arguments)
            return True
        if begin == "{":
            self._json.look(self._rest)
            if self._json.end is not None and (call := self._call(self._rest[: self._json.end])):
                self._tell(told, *call)
                self._rest = self._rest[self._json.end :]
                self._state = self._after_call
                return True
        wrong = 0 if begin not in ("", "{") else self._json.end or self._json.broken
        if wrong is None:
            return False
        told.append(TextDelta(self._before + OPEN + self._rest[:wrong]))
        self._rest = self._rest[wrong:]
        self._state = self._in_text
        return True

    def _in_arguments(self, told: Told) -> bool:
        self._json.look(self._rest)
        end = self._json.end or self._json.broken
        piece = self._rest[self._told_until : end]
        self._told_until += len(piece)
        if piece and not (self._one and self.calls > 1):
            told.append(ToolCallDelta(self.calls - 1, arguments=piece))
        if end is None:
            return False
        self._rest = self._rest[end:]
        self._state = self._after_call
        return True

    def _after_call(self, told: Told) -> bool:
        skipped = _AFTER_CALL.match(self._rest)
        assert skipped is not None
        left = self._rest[skipped.end() :]
        if CLOSE.startswith(left):
            return left == CLOSE and self._leave("")
        if left.startswith(CLOSE):
            return self._leave(left[len(CLOSE) :])
        return self._leave(skipped[0].replace("}", "") + left)

    def _leave(self, rest: str) -> bool:
        self._rest, self._state = rest, self._in_text
        return True

    def _tell(self, told: Told, name: str, arguments: str = "") -> None:
        if not (self._one and self.calls):
            told.append(ToolCallDelta(self.calls, self._new_id(), name, arguments))
        self.calls += 1

    def _call(self, text: str) -> tuple[str, str] | None:
        """Name and arguments of a free call; None where it is none."""
        try:
            # Not strict: line breaks in strings are common in code.
            found = json.loads(text, strict=False)
            name, arguments = found.get("name"), found.get("arguments") or {}
            if isinstance(arguments, str):
                arguments = json.loads(arguments, strict=False)
            if name not in self._names or not isinstance(arguments, dict):
                return None
            return name, json_text(arguments)
        except (ValueError, TypeError, RecursionError):
            return None


def _begun(text: str) -> int:
    """Length of the longest end of `text` that may grow into a call."""
    return next((n for n in range(min(len(OPEN) - 1, len(text)), 0, -1) if OPEN.startswith(text[-n:])), 0)
