"""Tools as callers state them -> the domain's, within bounds; calls and what tools answered, in their order.

Fields are named in the caller's words by the `place` that each function is given.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from qwen_demo.errors import InvalidRequest
from qwen_demo.models.tools.hermes import json_text
from qwen_demo.types import NO_PARAMETERS, Message, Tool, ToolChoice

MOST_TOOLS = 128
LONGEST_NAME = 128
LONGEST_DESCRIPTION = 16_384  # characters
LONGEST_PARAMETERS = 65_536  # characters of JSON
LONGEST_TOGETHER = 262_144
DEEPEST = 32
MOST_VALUES = 10_000
_NAME = re.compile(rf"[A-Za-z0-9_.:/-]{{1,{LONGEST_NAME}}}")


def tool(name: str, description: str, parameters: dict[str, Any] | None, strict: bool, place: str) -> Tool:
    """One function. Raises `InvalidRequest` for what no model and no grammar should be given."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{place}.name: a tool's name has letters, digits, '_', '-', '.', ':' and '/', "
            f"at most {LONGEST_NAME} of them.",
            field=f"{place}.name",
        )
    if len(description) > LONGEST_DESCRIPTION:
        raise _too_long(f"{place}.description", len(description), LONGEST_DESCRIPTION)
    return Tool(name, description, _parameters(parameters, f"{place}.parameters"), strict)


def _parameters(schema: dict[str, Any] | None, place: str) -> str:
    if not schema:
        return NO_PARAMETERS
    _check_shape(schema, place)
    kind = schema.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise InvalidRequest(
            f"{place}.type: arguments are an object, so that the schema's type is 'object'.", field=f"{place}.type"
        )
    try:
        text = json_text({"type": "object"} | schema | {"type": "object"})
    except ValueError as error:
        raise InvalidRequest(f"{place}: it holds a number that JSON has no word for.", field=place) from error
    if len(text) > LONGEST_PARAMETERS:
        raise _too_long(place, len(text), LONGEST_PARAMETERS)
    return text


def _check_shape(schema: Any, place: str) -> None:
    waiting, count = [(schema, 1)], 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if inside and depth > DEEPEST:
            raise InvalidRequest(f"{place}: the schema is nested more than {DEEPEST} deep.", field=place)
        if count > MOST_VALUES:
            raise InvalidRequest(f"{place}: the schema holds more than {MOST_VALUES} values.", field=place)
        waiting += [(item, depth + 1) for item in inside]


def _too_long(place: str, count: int, limit: int) -> InvalidRequest:
    return InvalidRequest(f"{place} has {count} characters; at most {limit} are read.", field=place)


def tools(made: Iterator[Tool], count: int, place: str) -> tuple[Tool, ...]:
    """All of a request, of which each is made only when those before it fit.

    Args:
        count: how many `made` gives.
    """
    if count > MOST_TOOLS:
        raise InvalidRequest(f"{place}: there are {count} tools; at most {MOST_TOOLS} are read.", field=place)
    known: dict[str, Tool] = {}
    together = 0
    for each in made:
        if each.name in known:
            raise InvalidRequest(f"{place}: there are two tools called {each.name!r}.", field=place)
        known[each.name] = each
        together += len(each.description) + len(each.parameters)
        if together > LONGEST_TOGETHER:
            raise _too_long(place, together, LONGEST_TOGETHER)
    return tuple(known.values())


def tool_choice(required: bool, names: Sequence[str], known: Sequence[Tool], place: str) -> ToolChoice:
    """Raises `InvalidRequest`: a choice without tools, or of a tool that is not there."""
    if required and not known:
        raise InvalidRequest(f"{place}: there are no tools to choose from; send `tools` with it.", field=place)
    there = [each.name for each in known]
    for name in names:
        if name not in there:
            shown = ", ".join(there[:20]) + (" …" if len(there) > 20 else "")
            raise InvalidRequest(
                f"{place}: there is no tool called {name[:LONGEST_NAME]!r}. There is: {shown}.", field=place
            )
    return ToolChoice(required, tuple(dict.fromkeys(names)))


def in_order(messages: Sequence[Message], place: str = "messages") -> tuple[Message, ...]:
    """What tools answered, in the order of the calls, as the model's form has no ids.

    Raises:
        InvalidRequest: an answer to a call that nobody made.
    """
    ordered: list[Message] = []
    places: dict[str, int] = {}  # of the calls so far; an id may come again
    calls = 0
    for of_tools, numbered in groupby(enumerate(messages), lambda pair: pair[1].role == "tool"):
        group = list(numbered)
        for number, message in group:
            for call in message.tool_calls:
                places[call.id] = calls = calls + 1
            if of_tools and not calls:
                field = f"{place}.{number}.role"
                raise InvalidRequest(f"{field}: no message before it calls a tool.", field=field)
            if of_tools and message.tool_call_id and message.tool_call_id not in places:
                field = f"{place}.{number}.tool_call_id"
                known = ", ".join(list(places)[-10:])
                raise InvalidRequest(
                    f"{field}: no message before it calls a tool with the id {message.tool_call_id[:80]!r}. "
                    f"There is: {known[:400]}.",
                    field=field,
                )
        if of_tools and all(message.tool_call_id for _, message in group):
            group.sort(key=lambda pair: places[pair[1].tool_call_id])
        ordered += [message for _, message in group]
    return tuple(ordered)


def arguments_text(given: str | dict[str, Any]) -> str:
    """Of a call that comes back: some programs send the object itself."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
