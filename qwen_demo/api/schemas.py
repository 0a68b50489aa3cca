"""What the REST API reads, as pydantic models. They go no further than `convert.py`.

A field that this server does not know is refused, never ignored; one that it knows and that asks for nothing is
dropped (`idle_fields.py`).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import MessageFields, OpenAIFields, OtherServersFields, StreamFields, Strict
from qwen_demo.api.parts import Content

MAX_STOPS = 4
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ChatMessage(MessageFields):
    role: Literal["system", "developer", "user", "assistant"]
    content: Content = ""
    # Of an earlier answer: what was said instead of content.
    refusal: str = ""


class StreamOptions(StreamFields):
    include_usage: bool = False


class JsonSchema(Strict):
    model_config = ConfigDict(populate_by_name=True)

    name: Word = "answer"
    description: str | None = None
    # pydantic's own models have a method called schema.
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool = True


class ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema goes with the type json_schema, and is needed there")
        return self


class PixelBudget(Strict):
    """vLLM's name for the bounds of an image's area."""

    min_pixels: int | None = Field(default=None, ge=784)
    max_pixels: int | None = Field(default=None, ge=784)


class SamplingFields(Strict):
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None


Stops = Annotated[
    Annotated[Word, Tag("<words>")] | Annotated[Annotated[list[Word], Field(max_length=MAX_STOPS)], Tag("<parts>")],
    Discriminator(lambda value: "<words>" if isinstance(value, str) else "<parts>"),
]


class ChatCompletionRequest(SamplingFields, OpenAIFields, OtherServersFields):
    """OpenAI's chat completion request, with vLLM's `top_k`, `min_p`, `repetition_penalty`, pixel bounds and
    `continue_final_message`.
    """

    model: str = ""
    # The first error is told; thousands of them would take long to write down.
    messages: list[ChatMessage] = Field(min_length=1, fail_fast=True)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: Literal[1] = 1
    stop: Stops = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    mm_processor_kwargs: PixelBudget = PixelBudget()

    add_generation_prompt: bool | None = None
    continue_final_message: bool = False

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        limits = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(limits) > 1:
            raise _contradiction("max_completion_tokens", "give max_tokens or max_completion_tokens, not both")
        if self.top_logprobs and not self.logprobs:
            raise _contradiction("top_logprobs", "it goes with logprobs: true")
        if self.add_generation_prompt is False and not self.continue_final_message:
            raise _contradiction("add_generation_prompt", "false goes with continue_final_message: true")
        if self.continue_final_message:
            self._check_continuation()
        return self

    def _check_continuation(self) -> None:
        if self.add_generation_prompt:
            raise _contradiction("add_generation_prompt", "true does not go with continue_final_message: true")
        if self.messages[-1].role != "assistant":
            raise _contradiction("continue_final_message", "the last message is not the assistant's")
        if self.response_format is not None and self.response_format.type != "text":
            raise _contradiction("continue_final_message", "it does not go with a response_format of JSON")


def _contradiction(field: str, words: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", "{words}", {"words": words, "field": field})


class InferenceRequest(Strict):
    """The article's request: one question, one image or none."""

    prompt: str
    image_url: str | None = None
    image: str | None = Field(None, description="base64 of an image file")
    max_tokens: int = Field(512, ge=1)
    temperature: float = 0.0


class InferenceResponse(BaseModel):
    request_id: str
    response: str
    inference_time: float = Field(description="seconds")
    token_count: int = Field(description="tokens of the answer")
