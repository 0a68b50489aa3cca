"""A request for a response -> the one for a chat completion that means the same, which `api/convert.py` reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen_demo.api.responses.items import CallItem, CallOutputItem, MessageItem
from qwen_demo.api.responses.schemas import (
    LOGPROBS,
    AllowedFunctions,
    Choice,
    ChosenFunction,
    FunctionTool,
    ResponsesRequest,
    TextFormat,
)
from qwen_demo.api.schemas import (
    AllowedChoice,
    AllowedTools,
    CalledFunction,
    ChatCompletionRequest,
    ChatMessage,
    FunctionBody,
    JsonSchema,
    MessageCall,
    NamedFunction,
    NamedTool,
    ResponseFormat,
    SamplingFields,
    ToolBody,
    WantedTools,
)
from qwen_demo.errors import InvalidRequest

# What the checks behind this API call by the names of chat completions, as it is called here.
_NAMES = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_new_tokens": "max_output_tokens",
    "response_format": "text.format",
    "logprobs": "include",
    "tool_choice.function": "tool_choice",
    "tool_choice.allowed_tools": "tool_choice",
}


@dataclass(frozen=True, slots=True)
class Translation:
    """A request in the words of chat completions, and the way back for the names of fields.

    Attributes:
        chat: means the same as what was sent.
        places: of messages and calls in `chat`, the items that they come from.
    """

    chat: ChatCompletionRequest
    places: Mapping[str, str]

    def sent(self, field: str | None) -> str | None:
        """What the caller called it: `messages.1.content.0.image_url` is `input.0.content.0.image_url`."""
        words = (field or "").split(".")
        for count in range(len(words), 0, -1):
            place = ".".join(words[:count])
            if found := self.places.get(place) or _NAMES.get(place):
                return ".".join([found, *words[count:]])
        return field

    def retold(self, error: InvalidRequest) -> InvalidRequest:
        """The same error in the caller's words; where its message begins with a place, there too."""
        ours, theirs = error.field, self.sent(error.field)
        text = str(error)
        if ours and theirs and text.startswith(ours):
            text = theirs + text.removeprefix(ours)
        return type(error)(text, field=theirs)


def translated(asked: ResponsesRequest) -> Translation:
    turns = _Turns()
    if asked.instructions:
        turns.add(ChatMessage(role="system", content=asked.instructions), "instructions")
    if isinstance(asked.input, str):
        turns.add(ChatMessage(role="user", content=asked.input), "input")
    else:
        for number, item in enumerate(asked.input):
            turns.take(item, f"input.{number}")
    wants_logprobs = LOGPROBS in asked.include
    chat = ChatCompletionRequest.model_construct(
        **{name: getattr(asked, name) for name in SamplingFields.model_fields},
        model=asked.model,
        messages=turns.messages,
        max_tokens=asked.max_output_tokens,
        stop=asked.stop,
        logprobs=wants_logprobs,
        top_logprobs=asked.top_logprobs if wants_logprobs else None,
        response_format=_response_format(asked.text.format),
        mm_processor_kwargs=asked.mm_processor_kwargs,
        tools=[_tool(each) for each in asked.tools],
        tool_choice=_tool_choice(asked.tool_choice),
        parallel_tool_calls=asked.parallel_tool_calls,
    )
    tools = {f"tools.{number}.function": f"tools.{number}" for number in range(len(asked.tools))}
    return Translation(chat, turns.places | tools)


class _Turns:
    """Messages made of items, and where each came from. What an assistant said and then called is one turn."""

    def __init__(self) -> None:
        self.messages: list[ChatMessage] = []
        self.places: dict[str, str] = {}

    def add(self, message: ChatMessage, place: str) -> None:
        self.places[f"messages.{len(self.messages)}"] = place
        self.messages.append(message)

    def take(self, item: Any, place: str) -> None:
        number = len(self.messages)
        if isinstance(item, MessageItem):
            self.add(ChatMessage.model_construct(role=item.role, content=item.content), place)
        elif isinstance(item, CallItem):
            self._call(item, place)
        elif isinstance(item, CallOutputItem):
            message = ChatMessage.model_construct(role="tool", content=item.output, tool_call_id=item.call_id)
            self.add(message, place)
            self.places |= {
                f"messages.{number}.content": f"{place}.output",
                f"messages.{number}.tool_call_id": f"{place}.call_id",
                f"messages.{number}.role": f"{place}.call_id",
            }

    def _call(self, item: CallItem, place: str) -> None:
        if not self.messages or self.messages[-1].role != "assistant":
            self.add(ChatMessage.model_construct(role="assistant"), place)
        last, calls = len(self.messages) - 1, self.messages[-1].tool_calls
        self.places[f"messages.{last}.tool_calls.{len(calls)}"] = place
        self.places[f"messages.{last}.tool_calls.{len(calls)}.function"] = place
        function = CalledFunction.model_construct(name=item.name, arguments=item.arguments)
        calls.append(MessageCall.model_construct(id=item.call_id, function=function))


def _tool(tool: FunctionTool) -> ToolBody:
    function = FunctionBody.model_construct(
        name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict
    )
    return ToolBody.model_construct(function=function)


def _tool_choice(wanted: Choice) -> WantedTools:
    if isinstance(wanted, ChosenFunction):
        return _named(wanted)
    if not isinstance(wanted, AllowedFunctions):
        return wanted
    allowed = AllowedTools.model_construct(mode=wanted.mode, tools=[_named(each) for each in wanted.tools])
    return AllowedChoice.model_construct(allowed_tools=allowed)


def _named(function: ChosenFunction) -> NamedTool:
    return NamedTool.model_construct(function=NamedFunction(name=function.name))


def _response_format(wanted: TextFormat) -> ResponseFormat:
    schema = None
    if wanted.json_schema is not None:
        schema = JsonSchema.model_construct(name=wanted.name, json_schema=wanted.json_schema, strict=wanted.strict)
    return ResponseFormat.model_construct(type=wanted.type, json_schema=schema)
