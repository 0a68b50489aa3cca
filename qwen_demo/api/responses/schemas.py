"""What `POST /v1/responses` reads, as pydantic models. They go no further than `convert.py` beside it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import Dropped, OtherServersFields, StreamFields, Strict
from qwen_demo.api.parts import Content
from qwen_demo.api.responses.idle_fields import ItemFields, MessageItemFields, ResponseFields
from qwen_demo.api.schemas import PixelBudget, SamplingFields, Stops, Word, contradiction
from qwen_demo.http.errors import UNSUPPORTED

LOGPROBS = "message.output_text.logprobs"
# What may be asked for beside the answer. All but the log probabilities belong to tools of a server's own, to
# thinking or to stored items: there are none here, so nothing of theirs is left out.
Included = Literal[
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
]


class MessageItem(MessageItemFields):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Content


class ReasoningItem(ItemFields):
    """Of another model's answer: not read."""

    type: Literal["reasoning"]
    summary: Dropped[list[Any]] = None
    content: Dropped[list[Any]] = None
    encrypted_content: Dropped[str] = None


class ItemReference(BaseModel):
    """To a stored item, which there is none of: refused in words that help."""

    @model_validator(mode="before")
    @classmethod
    def _refused(cls, _: Any) -> Any:
        raise PydanticCustomError(
            UNSUPPORTED,
            "Nothing is stored here that an item_reference could stand for: send the item itself, as clients do when "
            "they are told store: false",
        )


_KINDS = {"message": "<message>", "reasoning": "<reasoning>"}


def _kind(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    kind = item.get("type") or ("message" if "role" in item else "item_reference" if "id" in item else None)
    if kind == "item_reference":
        return "<reference>"
    return _KINDS.get(kind) if isinstance(kind, str) else None


Item = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")]
    | Annotated[SkipJsonSchema[ItemReference], Tag("<reference>")],
    Discriminator(
        _kind,
        custom_error_type="unknown_part",
        custom_error_message="The type of an item must be one of " + ", ".join(_KINDS),
    ),
]
Input = Annotated[
    Annotated[str, Tag("<words>")] | Annotated[Annotated[list[Item], Field(min_length=1)], Tag("<parts>")],
    Discriminator(lambda value: "<words>" if isinstance(value, str) else "<parts>"),
]


class TextFormat(Strict):
    model_config = ConfigDict(populate_by_name=True)

    type: Literal["text", "json_object", "json_schema"]
    name: Word = "answer"
    description: str | None = None
    # pydantic's own models have a method called schema.
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool = True

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("schema goes with the type json_schema, and is needed there")
        return self


class TextOptions(Strict):
    format: TextFormat = TextFormat(type="text")
    verbosity: Dropped[Literal["medium"]] = None


class ResponsesRequest(SamplingFields, ResponseFields, OtherServersFields):
    """OpenAI's request for a response, with vLLM's words for sampling and pixel bounds."""

    model: str = ""
    input: Input
    instructions: str = ""
    max_output_tokens: int | None = Field(None, ge=1)
    stop: Stops = Field(default_factory=list)
    text: TextOptions = TextOptions()
    include: list[Included] = Field(default_factory=list)
    top_logprobs: int = 0
    stream: bool = False
    stream_options: StreamFields | None = None
    mm_processor_kwargs: PixelBudget = PixelBudget()
    tools: Dropped[Annotated[list[Any], Field(max_length=0)]] = None
    tool_choice: Dropped[Literal["none", "auto"]] = None
    parallel_tool_calls: Dropped[bool] = None

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.top_logprobs and LOGPROBS not in self.include:
            raise contradiction("top_logprobs", f"it goes with {LOGPROBS} in include")
        if not isinstance(self.input, str):
            last = next((item for item in reversed(self.input) if not isinstance(item, ReasoningItem)), None)
            if isinstance(last, MessageItem) and last.role == "assistant":
                raise contradiction("input", "the last item is the assistant's; end with one that asks for an answer")
        return self
