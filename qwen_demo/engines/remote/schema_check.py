"""Whether an answer that another server says is whole is the JSON that was asked for: many ignore a schema."""

import asyncio
import json
from typing import Any

import jsonschema_rs

from qwen_demo.errors import EngineFailed
from qwen_demo.types import ChatRequest, FinishReason, TextDelta, ToolCallDelta

_CALL = "<tool_call>"  # of a server that leaves calls in the model's own form
_BACKTRACKS = 100_000  # of a schema's regular expressions, which are a caller's own


class SchemaCheck:
    """Reads an answer along; does nothing for a request without a schema, and for an answer that calls tools."""

    def __init__(self, request: ChatRequest):
        self._schema = request.held.json_schema if request.held else None
        self._has_tools, self._has_stop = bool(request.tools), bool(request.sampling.stop)
        # What is gone on from may be part of the JSON.
        self._begun = request.messages[-1].text if request.continue_final_message else ""
        self._pieces: list[str] = []

    def add(self, delta: object) -> None:
        if self._schema and isinstance(delta, ToolCallDelta):
            self._schema = None
        elif self._schema and isinstance(delta, TextDelta):
            self._pieces.append(delta.text)

    async def reason(self, told: FinishReason, server: str) -> FinishReason:
        """How the answer ended: as the server says, or `length` where a stop string may have cut the JSON.

        Raises:
            EngineFailed: it is called whole and is not what was asked for.
        """
        if told != "stop" or self._schema is None:
            return told
        text = "".join(self._pieces)
        if self._has_tools and _CALL in text:  # which the service reads
            return told
        if await asyncio.to_thread(self._fits, text) or (
            self._begun and await asyncio.to_thread(self._fits, self._begun + text)
        ):
            return told
        if self._has_stop:
            return "length"
        raise EngineFailed(
            f"{server} says that its answer is whole, but it is not the JSON that the schema asks for: the server "
            "does not hold answers to a schema (response_format). Ask without one, or another server (--base-url)."
        )

    def _fits(self, text: str) -> bool:
        assert self._schema is not None
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            return False
        validator = _validator(json.loads(self._schema))
        return validator is None or validator.is_valid(answer)


def _validator(schema: Any) -> jsonschema_rs.Validator | None:
    """None for a schema that the library does not take. Nothing is fetched that it refers to."""
    try:
        return jsonschema_rs.validator_for(
            schema, offline=True, pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS)
        )
    except ValueError:
        return None
