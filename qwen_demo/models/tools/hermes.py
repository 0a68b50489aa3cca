"""The words around tools in prompts and answers: Hermes' form, as the chat templates of Qwen2.5-Instruct have it.

The system turn ends with the tools, a line of JSON each; a call is JSON between two tags; what tools answered is a turn
of the user's. Qwen2.5-VL was trained on it with the rest, but its own template says nothing of tools, so that it is
written here. A template that does is given them as they are (`in_template`).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from qwen_demo.types import ChatRequest, Message, Part, Text, Tool, ToolCall

OPEN, CLOSE = "<tool_call>", "</tool_call>"
# What the templates of Qwen2.5-VL say where nobody else does.
DEFAULT_SYSTEM = "You are a helpful assistant."
_BEFORE_TOOLS = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
_AFTER_TOOLS = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    f'{OPEN}{CLOSE} XML tags:\n{OPEN}\n{{"name": <function-name>, "arguments": <args-json-object>}}\n{CLOSE}'
)


@dataclass(frozen=True, slots=True)
class Markup:
    """Words of the form; unlike `Text` they may be special tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class PromptTurn:
    role: str
    parts: tuple[Part | Markup, ...]


def turns(request: ChatRequest) -> list[PromptTurn]:
    """The conversation with tools, calls and what tools answered in its words."""
    made: list[PromptTurn] = []
    messages = list(request.messages)
    if request.tools:
        first = messages.pop(0).parts if messages[0].role == "system" else (Markup(DEFAULT_SYSTEM),)
        lines = "\n".join(json_text(signature(tool)) for tool in request.tools)
        made.append(PromptTurn("system", (*first, Markup(_BEFORE_TOOLS), Text(lines), Markup(_AFTER_TOOLS))))
    for of_tools, group in groupby(messages, lambda message: message.role == "tool"):
        if of_tools:
            made.append(PromptTurn("user", tuple(_responses(group))))
        else:
            made += [PromptTurn(message.role, (*message.parts, *_calls(message))) for message in group]
    return made


def _calls(message: Message) -> Iterator[Part | Markup]:
    before = "\n" if message.parts else ""
    for call in message.tool_calls:
        name, arguments = json_text(call.name), arguments_text(call)
        yield Markup(f"{before}{OPEN}\n")
        yield Text(f'{{"name": {name}, "arguments": {arguments}}}')
        yield Markup(f"\n{CLOSE}")
        before = "\n"


def _responses(messages: Iterator[Message]) -> Iterator[Part | Markup]:
    before = ""
    for message in messages:
        yield Markup(f"{before}<tool_response>\n")
        yield from message.parts
        yield Markup("\n</tool_response>")
        before = "\n"


def in_template(request: ChatRequest, place: Callable[[Message], Any], safe: Callable[[str], str]) -> dict[str, Any]:
    """The arguments of a chat template that states tools itself.

    Args:
        place: the content of a message as the template reads it.
        safe: what stands for words of the caller's within JSON.
    """
    conversation = []
    for message in request.messages:
        turn: dict[str, Any] = {"role": message.role, "content": place(message)}
        if message.tool_calls:
            turn["tool_calls"] = [
                {"type": "function", "function": {"name": safe(call.name), "arguments": _safe(_arguments(call), safe)}}
                for call in message.tool_calls
            ]
        conversation.append(turn)
    tools = [_safe(signature(tool), safe) for tool in request.tools]
    return {"conversation": conversation, "tools": tools or None}


def _safe(value: Any, safe: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, list):
        return [_safe(item, safe) for item in value]
    if isinstance(value, dict):
        return {safe(key): _safe(item, safe) for key, item in value.items()}
    return value


def signature(tool: Tool) -> dict[str, Any]:
    """As OpenAI's API has it, which is what the prompt states."""
    about = {"name": tool.name} | ({"description": tool.description} if tool.description else {})
    return {"type": "function", "function": {**about, "parameters": json.loads(tool.parameters)}}


def _arguments(call: ToolCall) -> Any:
    """An object, or the text of what is none: a call that was cut short may come back as well."""
    try:
        found = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments
    return found if isinstance(found, dict) else call.arguments


def arguments_text(call: ToolCall) -> str:
    """As the model writes them, whatever spaces a client has put in or taken out."""
    found = _arguments(call)
    try:
        return json_text(found) if isinstance(found, dict) else call.arguments
    except (ValueError, RecursionError):
        return call.arguments


def json_text(value: Any) -> str:
    """JSON as the model has seen it in training: one line, spaces after commas and colons.

    Raises:
        ValueError: it holds a number that JSON has no word for.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # Half a surrogate pair can stand in JSON as an escape, but is no character.
    return text if _encodes(text) else json.dumps(value, allow_nan=False)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def stops(request: ChatRequest) -> tuple[str, ...]:
    """Strings that end its answer: its own, and the end of a call where one is all there may be."""
    free = request.tools and request.held is None
    return (*request.sampling.stop, CLOSE) if free and not request.parallel_tool_calls else request.sampling.stop


def texts(tools: Sequence[Tool], messages: Sequence[Message]) -> Iterator[str]:
    """All words of callers' that a prompt holds because of tools."""
    for tool in tools:
        yield from (tool.name, tool.description, tool.parameters)
    for message in messages:
        yield message.tool_call_id
        for call in message.tool_calls:
            yield from (call.id, call.name, call.arguments)
