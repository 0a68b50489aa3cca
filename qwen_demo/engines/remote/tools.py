"""Tools of a request in OpenAI's words, and the pieces of calls that another server sends."""

import json
from typing import Any

from qwen_demo.models.tools.hermes import signature
from qwen_demo.types import ChatRequest, Tool, ToolCallDelta

Json = dict[str, Any]


def tool_fields(request: ChatRequest) -> Json:
    """What the body of a request has because of tools; only those that may be called."""
    if not request.tools:
        return {}
    fields: Json = {"tools": [_tool(tool) for tool in request.callable_tools]}
    choice = request.tool_choice
    if choice.required and len(choice.names) == 1:
        fields["tool_choice"] = {"type": "function", "function": {"name": choice.names[0]}}
    else:
        fields["tool_choice"] = "required" if choice.required else "auto"
    if not request.parallel_tool_calls:
        fields["parallel_tool_calls"] = False
    return fields


def _tool(tool: Tool) -> Json:
    body = signature(tool)
    if tool.strict:
        body["function"]["strict"] = True
    return body


class CallPieces:
    """Of one answer. Some servers leave out which call a piece belongs to, or do not count from 0."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}  # the server's count of a call: ours

    def take(self, pieces: Any) -> list[ToolCallDelta]:
        found = pieces if isinstance(pieces, list) else []
        return [delta for piece in found if isinstance(piece, dict) and (delta := self._delta(piece))]

    def _delta(self, piece: Json) -> ToolCallDelta | None:
        function = piece.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments")
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else json.dumps(arguments, ensure_ascii=False)
        theirs = piece.get("index")
        if not isinstance(theirs, int):
            theirs = len(self._begun) if name else len(self._begun) - 1
        if theirs in self._begun:
            return ToolCallDelta(self._begun[theirs], arguments=arguments) if arguments else None
        index = self._begun[theirs] = len(self._begun)
        return ToolCallDelta(index, piece.get("id") or f"call_{index}", name, arguments)
