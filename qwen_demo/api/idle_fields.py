"""Fields of other servers and of earlier answers that are taken as long as they ask for nothing, and dropped then.

Programs send them with every request, with values that change no answer given here. One that asks for something this
server does not do is refused with its name, as is a word that nobody knows. docs/api.md lists them all.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from qwen_demo.http.errors import UNSUPPORTED

T = TypeVar("T")


def _or_refused(value: Any, check: Callable[[Any], Any]) -> Any:
    try:
        return check(value)
    except ValidationError:
        raise PydanticCustomError(
            UNSUPPORTED, "This server does not do what this field asks for here; leave it out"
        ) from None


def _instead(word: str) -> WrapValidator:
    """For a word that OpenAI has given up for another."""

    def check_or_tell(value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value)
        except ValidationError:
            raise PydanticCustomError(
                UNSUPPORTED, "This server takes {word} instead, as OpenAI does", {"word": word}
            ) from None

    return WrapValidator(check_or_tell)


def _a_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number_type", "Input should be a number")
    return value


def _a_truth(value: Any) -> Any:
    if not isinstance(value, bool):
        raise PydanticCustomError("bool_type", "Input should be true or false")
    return value


# As JSON has them, and as the OpenAPI document says: to Python 0 is False, 1 is True and 1.0 is 1, and pydantic reads
# numbers in texts. Bounds stand before the check of the type: behind it the document would not have them.
A_NUMBER, A_TRUTH = BeforeValidator(_a_number), BeforeValidator(_a_truth)
Flag = StrictBool
No = Annotated[Literal[False], A_TRUTH]
Yes = Annotated[Literal[True], A_TRUTH]
Number = Annotated[float, A_NUMBER]
Whole = Annotated[int, A_NUMBER]
AtLeastOne = Annotated[int, Field(ge=1), A_NUMBER]
Area = Annotated[int, Field(ge=28 * 28), A_NUMBER]
Zero = Annotated[float, Field(ge=0, le=0), A_NUMBER]
One = Annotated[float, Field(ge=1, le=1), A_NUMBER]
MinusOne = Annotated[int, Field(ge=-1, le=-1), A_NUMBER]
OnlyOne = Annotated[Literal[1], A_NUMBER]
Dropped = Annotated[T | None, WrapValidator(_or_refused), Field(exclude=True)]
Nothing = Annotated[list[Any], Field(max_length=0)]
NoMembers = Annotated[dict[str, Any], Field(max_length=0)]
NULL = {"type": "null"}
Anything = dict[str, Any] | list[Any] | str | float | bool


class Strict(BaseModel):
    """Refuses members that it does not know; one that is null is as good as absent."""

    model_config = ConfigDict(extra="forbid", strict=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Says so in the OpenAPI document as well."""
        made = handler(schema)
        told = handler.resolve_ref_schema(made)
        for name, member in told.get("properties", {}).items():
            choices = member.get("anyOf", [])
            if name not in told.get("required", ()) and NULL not in choices:
                about = {key: member.pop(key) for key in ("title", "description", "default") if key in member}
                told["properties"][name] = about | {"anyOf": [*(choices or [member]), NULL]}
        told["additionalProperties"] = NULL
        return made


class NoThinking(Strict):
    """Members for chat templates of models that think."""

    enable_thinking: No = False
    thinking: No = False


class CacheOptions(Strict):
    """How long a cache of the sender's idea would keep what."""

    mode: Dropped[str] = None
    ttl: Dropped[str] = None
    prewarm: Dropped[No] = None


class CommonFields(Strict):
    """Of requests to both of OpenAI's APIs."""

    metadata: Dropped[dict[str, Any]] = None
    user: Dropped[str] = None
    safety_identifier: Dropped[str] = None
    prompt_cache_key: Dropped[str] = None
    prompt_cache_options: Dropped[CacheOptions] = None
    prompt_cache_retention: Dropped[str] = None
    service_tier: Dropped[Literal["auto", "default", "flex", "standard"]] = None
    # Whatever says how much to think: the models here do not.
    reasoning: Dropped[dict[Literal["context", "effort", "generate_summary", "mode", "summary"], str | None]] = None


class OpenAIFields(CommonFields):
    """Of OpenAI's chat completions."""

    functions: Annotated[Nothing | None, _instead("tools"), Field(exclude=True)] = None
    function_call: Annotated[Literal["none", "auto"] | None, _instead("tool_choice"), Field(exclude=True)] = None
    logit_bias: Dropped[NoMembers] = None
    store: Dropped[No] = None
    modalities: Dropped[Annotated[list[Literal["text"]], Field(max_length=1)]] = None
    reasoning_effort: Dropped[str] = None
    verbosity: Dropped[Literal["medium"]] = None
    # A guess of the answer, which only makes it come sooner.
    prediction: Dropped[dict[str, Any]] = None


class OtherServersFields(Strict):
    """Of vLLM, SGLang, llama.cpp and Ollama, mostly their defaults spelled out."""

    add_special_tokens: Dropped[No] = None
    allowed_token_ids: Dropped[Nothing] = None
    bad_words: Dropped[Nothing] = None
    best_of: Dropped[One] = None
    cache_prompt: Dropped[Flag] = None
    chat_template_kwargs: Dropped[NoThinking] = None
    detokenize: Dropped[Yes] = None
    documents: Dropped[Nothing] = None
    early_stopping: Dropped[No] = None
    echo: Dropped[No] = None
    enable_thinking: Dropped[No] = None
    ignore_eos: Dropped[No] = None
    include_reasoning: Dropped[Flag] = None
    include_stop_str_in_output: Dropped[No] = None
    length_penalty: Dropped[One] = None
    logits_processors: Dropped[Nothing] = None
    media_io_kwargs: Dropped[NoMembers] = None
    min_tokens: Dropped[Zero] = None
    mirostat: Dropped[Zero] = None
    no_stop_trim: Dropped[No] = None
    plugins: Dropped[Nothing] = None
    priority: Dropped[Zero] = None
    repeat_penalty: Dropped[One] = None
    request_id: Dropped[str] = None
    return_hidden_states: Dropped[No] = None
    return_progress: Dropped[No] = None
    return_token_ids: Dropped[No] = None
    return_tokens_as_token_ids: Dropped[No] = None
    separate_reasoning: Dropped[Flag] = None
    skip_special_tokens: Dropped[Yes] = None
    spaces_between_special_tokens: Dropped[Yes] = None
    stop_token_ids: Dropped[Nothing] = None
    stream_reasoning: Dropped[Flag] = None
    think: Dropped[No] = None
    timings_per_token: Dropped[No] = None
    transforms: Dropped[Nothing] = None
    truncate_prompt_tokens: Dropped[MinusOne] = None
    typical_p: Dropped[One] = None
    use_beam_search: Dropped[No] = None
    vllm_xargs: Dropped[NoMembers] = None


class StreamFields(Strict):
    """Of `stream_options`."""

    include_obfuscation: Dropped[No] = None
    continuous_usage_stats: Dropped[No] = None


class CacheFields(Strict):
    """Of a message or a part of one: where a cache of the sender's idea would begin."""

    cache_control: Dropped[dict[str, Any]] = None
    prompt_cache_breakpoint: Dropped[dict[str, Any]] = None


class MessageFields(CacheFields):
    """Of a message, most of them from an earlier answer of this or another server."""

    name: Dropped[str] = None
    id: Dropped[str] = None
    status: Dropped[str] = None
    audio: Dropped[NoMembers] = None
    images: Dropped[Nothing] = None
    annotations: Dropped[list[Any]] = None
    parsed: Dropped[Anything] = None
    provider_specific_fields: Dropped[dict[str, Any]] = None
    reasoning: Dropped[Anything] = None
    reasoning_content: Dropped[Anything] = None
    reasoning_details: Dropped[list[Any]] = None
    thinking: Dropped[Anything] = None
    thinking_blocks: Dropped[list[Any]] = None
    prefix: Dropped[No] = None
    partial: Dropped[No] = None


class PartFields(CacheFields):
    """Of a part of a message."""

    id: Dropped[str] = None
    annotations: Dropped[list[Any]] = None
    logprobs: Dropped[list[Any]] = None
    parsed: Dropped[Anything] = None
    provider_specific_fields: Dropped[dict[str, Any]] = None
