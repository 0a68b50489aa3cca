"""What the REST API reads, as pydantic models. They go no further than `convert.py`.

A field that this server does not know is refused, never ignored; one that it knows and that asks for nothing is
dropped (`idle_fields.py`).
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import (
    Anything,
    Area,
    AtLeastOne,
    CacheFields,
    Dropped,
    Flag,
    MessageFields,
    NoMembers,
    Number,
    OnlyOne,
    OpenAIFields,
    OtherServersFields,
    StreamFields,
    Strict,
    Whole,
)
from qwen_demo.api.knowledge.schemas import USUAL_TOP_K, TopK
from qwen_demo.api.parts import Content

MAX_STOPS = 4
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CalledFunction(Strict):
    name: str
    # Some programs send the object itself.
    arguments: str | dict[str, Any] = "{}"
    # OpenAI's client adds what it read in them.
    parsed_arguments: Dropped[Anything] = None


class MessageCall(CacheFields):
    """A call of an earlier answer."""

    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction
    index: Dropped[Whole] = None
    provider_specific_fields: Dropped[dict[str, Any]] = None


def _empty_is_none(value: Any) -> Any:
    return None if value == {} else value


MaybeCall = Annotated[
    CalledFunction | None, BeforeValidator(_empty_is_none, json_schema_input_type=CalledFunction | NoMembers | None)
]


class ChatMessage(MessageFields):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = ""
    # Of an earlier answer: what was said instead of content.
    refusal: str = ""
    tool_calls: list[MessageCall] = Field(default_factory=list)
    # OpenAI's older word for one call.
    function_call: MaybeCall = None
    # Of what a tool answered.
    tool_call_id: str = ""

    @model_validator(mode="after")
    def _said_by_whom(self) -> Self:
        if self.tool_call_id and self.role != "tool":
            raise contradiction("tool_call_id", "it goes with the role tool")
        if self.tool_calls and self.role != "assistant":
            raise contradiction("tool_calls", "it goes with the role assistant")
        if self.function_call and (self.role != "assistant" or self.tool_calls):
            raise contradiction("function_call", "it goes with the role assistant, without tool_calls")
        return self


class StreamOptions(StreamFields):
    include_usage: Flag = False


class JsonSchema(Strict):
    name: Word = "answer"
    description: str | None = None
    # pydantic's own models have a method called schema.
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: Flag = True


class ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema goes with the type json_schema, and is needed there")
        return self


class FunctionBody(Strict):
    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: Flag = False


class ToolBody(CacheFields):
    type: Literal["function"] = "function"
    function: FunctionBody
    # Where OpenAI's other API has it.
    strict: Flag = False


class NamedFunction(Strict):
    name: str


class NamedTool(Strict):
    type: Literal["function"] = "function"
    function: NamedFunction


class AllowedTools(Strict):
    mode: Literal["auto", "required"] = "auto"
    tools: list[NamedTool] = Field(min_length=1)


class AllowedChoice(Strict):
    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


def _choice(value: Any) -> str | None:
    if isinstance(value, dict):
        kind = value.get("type")
        return "<allowed>" if kind == "allowed_tools" else "<named>"
    return "<words>"


WantedTools = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<words>")]
    | Annotated[NamedTool, Tag("<named>")]
    | Annotated[AllowedChoice, Tag("<allowed>")],
    Discriminator(_choice),
]


class PixelBudget(Strict):
    """vLLM's name for the bounds of an image's area."""

    min_pixels: Area | None = None
    max_pixels: Area | None = None


class SamplingFields(Strict):
    temperature: Number = 0.0
    top_p: Number = 1.0
    top_k: Whole = 0
    min_p: Number = 0.0
    repetition_penalty: Number = 1.0
    presence_penalty: Number = 0.0
    frequency_penalty: Number = 0.0
    seed: Whole | None = None


Stops = Annotated[
    Annotated[Word, Tag("<words>")] | Annotated[Annotated[list[Word], Field(max_length=MAX_STOPS)], Tag("<parts>")],
    Discriminator(lambda value: "<words>" if isinstance(value, str) else "<parts>"),
]


class KnowledgeAsked(Strict):
    """Documents of the caller's own that the answer is to be taken from, with citations."""

    collection: str
    top_k: TopK = USUAL_TOP_K


class ChatCompletionRequest(SamplingFields, OpenAIFields, OtherServersFields):
    """OpenAI's chat completion request, with vLLM's `top_k`, `min_p`, `repetition_penalty`, pixel bounds and
    `continue_final_message`.
    """

    model: str = ""
    # The first error is told; thousands of them would take long to write down.
    messages: list[ChatMessage] = Field(min_length=1, fail_fast=True)
    max_tokens: AtLeastOne | None = None
    max_completion_tokens: AtLeastOne | None = None
    n: OnlyOne = 1
    stop: Stops = Field(default_factory=list)
    stream: Flag = False
    stream_options: StreamOptions | None = None
    logprobs: Flag = False
    top_logprobs: Whole | None = None
    response_format: ResponseFormat | None = None
    tools: list[ToolBody] = Field(default_factory=list)
    tool_choice: WantedTools = "auto"
    parallel_tool_calls: Flag = True
    mm_processor_kwargs: PixelBudget = PixelBudget()
    knowledge: KnowledgeAsked | None = None

    add_generation_prompt: Flag | None = None
    continue_final_message: Flag = False

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        limits = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(limits) > 1:
            raise contradiction("max_completion_tokens", "give max_tokens or max_completion_tokens, not both")
        if self.top_logprobs and not self.logprobs:
            raise contradiction("top_logprobs", "it goes with logprobs: true")
        if self.add_generation_prompt is False and not self.continue_final_message:
            raise contradiction("add_generation_prompt", "false goes with continue_final_message: true")
        if self.continue_final_message:
            self._check_continuation()
        if self.knowledge and (self.continue_final_message or self.messages[-1].role != "user"):
            raise contradiction("knowledge", "the last message must be a question of the user's")
        return self

    def _check_continuation(self) -> None:
        if self.add_generation_prompt:
            raise contradiction("add_generation_prompt", "true does not go with continue_final_message: true")
        if self.messages[-1].role != "assistant":
            raise contradiction("continue_final_message", "the last message is not the assistant's")
        if self.messages[-1].tool_calls or self.messages[-1].function_call:
            raise contradiction("continue_final_message", "the last message ends with calls of tools")
        if self.tools and self.tool_choice not in ("none", "auto"):
            raise contradiction("continue_final_message", "it does not go with calls that must come")
        if self.response_format is not None and self.response_format.type != "text":
            raise contradiction("continue_final_message", "it does not go with a response_format of JSON")


def contradiction(field: str, words: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", "{words}", {"words": words, "field": field})


class InferenceRequest(Strict):
    """The article's request: one question, one image or none."""

    prompt: str
    image_url: str | None = None
    image: str | None = Field(None, description="base64 of an image file")
    max_tokens: AtLeastOne = 512
    temperature: Number = 0.0

    @classmethod
    def of_form(cls, fields: Mapping[str, Any]) -> Self:
        """Of a form, where numbers are texts as everything is."""
        return cls.model_validate(
            {
                name: _number_in(value) if name in ("max_tokens", "temperature") else value
                for name, value in fields.items()
            }
        )


def _number_in(text: Any) -> Any:
    """The number that a text says, or what was given."""
    for read in (int, float):
        with suppress(TypeError, ValueError):
            return read(text)
    return text


class InferenceResponse(BaseModel):
    request_id: str
    response: str
    inference_time: float = Field(description="seconds")
    token_count: int = Field(description="tokens of the answer")
