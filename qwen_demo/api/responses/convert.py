"""A request for a response -> the one for a chat completion that means the same, which `api/convert.py` reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from qwen_demo.api.responses.schemas import LOGPROBS, MessageItem, ResponsesRequest, TextFormat
from qwen_demo.api.schemas import ChatCompletionRequest, ChatMessage, JsonSchema, ResponseFormat, SamplingFields

# What the checks behind this API call by the names of chat completions, as it is called here.
_NAMES = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_new_tokens": "max_output_tokens",
    "response_format": "text.format",
    "logprobs": "include",
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
        if field is None:
            return None
        words = field.split(".")
        for count in range(len(words), 0, -1):
            place = ".".join(words[:count])
            if found := self.places.get(place) or _NAMES.get(place):
                return ".".join([found, *words[count:]])
        return field


def translated(asked: ResponsesRequest) -> Translation:
    messages, places = _messages(asked)
    wants_logprobs = LOGPROBS in asked.include
    chat = ChatCompletionRequest.model_construct(
        **{name: getattr(asked, name) for name in SamplingFields.model_fields},
        messages=messages,
        max_tokens=asked.max_output_tokens,
        stop=asked.stop,
        logprobs=wants_logprobs,
        top_logprobs=asked.top_logprobs if wants_logprobs else None,
        response_format=_response_format(asked.text.format),
        mm_processor_kwargs=asked.mm_processor_kwargs,
    )
    return Translation(chat, places)


def _messages(asked: ResponsesRequest) -> tuple[list[ChatMessage], dict[str, str]]:
    messages: list[ChatMessage] = []
    places: dict[str, str] = {}

    def add(message: ChatMessage, place: str) -> None:
        places[f"messages.{len(messages)}"] = place
        messages.append(message)

    if asked.instructions:
        add(ChatMessage(role="system", content=asked.instructions), "instructions")
    if isinstance(asked.input, str):
        add(ChatMessage(role="user", content=asked.input), "input")
        return messages, places
    for number, item in enumerate(asked.input):
        if isinstance(item, MessageItem):
            message = ChatMessage.model_construct(role=item.role, content=item.content)
            add(message, f"input.{number}")
    return messages, places


def _response_format(wanted: TextFormat) -> ResponseFormat:
    schema = None
    if wanted.json_schema is not None:
        schema = JsonSchema.model_construct(name=wanted.name, json_schema=wanted.json_schema, strict=wanted.strict)
    return ResponseFormat.model_construct(type=wanted.type, json_schema=schema)
