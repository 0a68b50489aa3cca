"""What the REST API reads, as pydantic models. They go no further than `convert.py`.

A field that this server does not know is refused, never ignored. Fields that clients send back
as null from an earlier answer are as good as absent.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_STOPS = 4
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


class Url(Strict):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class TextPart(Strict):
    type: Literal["text"]
    text: str


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: Url


class VideoPart(Strict):
    type: Literal["video_url"]
    video_url: Url


AnyPart = Annotated[TextPart | ImagePart | VideoPart, Field(discriminator="type")]


class ChatMessage(Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[AnyPart] = ""


class StreamOptions(Strict):
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


class ChatCompletionRequest(SamplingFields):
    """OpenAI's chat completion request, with vLLM's `top_k`, `min_p`, `repetition_penalty` and pixel bounds."""

    model: str = ""
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: Literal[1] = 1
    stop: Word | Annotated[list[Word], Field(max_length=MAX_STOPS)] = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    user: Annotated[str, StringConstraints(max_length=200)] | None = None
    mm_processor_kwargs: PixelBudget = PixelBudget()

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("give max_tokens or max_completion_tokens, not both")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options goes with stream: true")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs goes with logprobs: true")
        return self


class InferenceRequest(Strict):
    """The article's request: one question, one image or none."""

    prompt: str
    image_url: str | None = None
    image: str | None = Field(None, description="base64 of an image file")
    max_tokens: int = 512
    temperature: float = 0.0


class InferenceResponse(BaseModel):
    request_id: str
    response: str
    inference_time: float = Field(description="seconds")
    token_count: int = Field(description="tokens of the answer")
