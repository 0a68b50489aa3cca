"""What `POST /v1/responses` reads, as pydantic models. They go no further than `convert.py` beside it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import AtLeastOne, Dropped, Flag, OtherServersFields, Strict, Whole
from qwen_demo.api.responses.idle_fields import FunctionFields, ResponseFields
from qwen_demo.api.responses.items import CallItem, Input, MessageItem, ReasoningItem
from qwen_demo.api.schemas import PixelBudget, SamplingFields, Stops, StreamOptions, Word, contradiction
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


def _runs_nothing(value: Any) -> Any:
    if value != "function":
        raise PydanticCustomError(UNSUPPORTED, "It must be 'function': this server runs no tools of its own")
    return value


FunctionType = Annotated[Literal["function"], BeforeValidator(_runs_nothing)]


class FunctionTool(FunctionFields):
    type: FunctionType = "function"
    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: Flag = False


class ChosenFunction(Strict):
    type: FunctionType
    name: str


class AllowedFunctions(Strict):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"] = "auto"
    tools: list[ChosenFunction] = Field(min_length=1)


def _choice(value: Any) -> str:
    if not isinstance(value, dict):
        return "<words>"
    return "<allowed>" if value.get("type") == "allowed_tools" else "<named>"


Choice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<words>")]
    | Annotated[ChosenFunction, Tag("<named>")]
    | Annotated[AllowedFunctions, Tag("<allowed>")],
    Discriminator(_choice),
]


class TextFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    name: Word = "answer"
    description: str | None = None
    # pydantic's own models have a method called schema.
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: Flag = True

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
    max_output_tokens: AtLeastOne | None = None
    stop: Stops = Field(default_factory=list)
    text: TextOptions = TextOptions()
    include: list[Included] = Field(default_factory=list)
    top_logprobs: Whole = 0
    stream: Flag = False
    # Its usage is always told.
    stream_options: StreamOptions | None = None
    mm_processor_kwargs: PixelBudget = PixelBudget()
    tools: list[FunctionTool] = Field(default_factory=list)
    tool_choice: Choice = "auto"
    parallel_tool_calls: Flag = True

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.top_logprobs and LOGPROBS not in self.include:
            raise contradiction("top_logprobs", f"it goes with {LOGPROBS} in include")
        if not isinstance(self.input, str):
            last = next((item for item in reversed(self.input) if not isinstance(item, ReasoningItem)), None)
            if isinstance(last, CallItem) or (isinstance(last, MessageItem) and last.role == "assistant"):
                raise contradiction("input", "the last item is the assistant's; end with one that asks for an answer")
        return self
