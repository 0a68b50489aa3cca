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


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number, not true or false")
    return value


# As JSON has them: what Python takes for one another is not the same.
Flag = StrictBool
Number = Annotated[float, BeforeValidator(_no_truth)]
Whole = Annotated[int, BeforeValidator(_no_truth)]
Dropped = Annotated[T | None, WrapValidator(_or_refused), Field(exclude=True)]
Nothing = Annotated[list[Any], Field(max_length=0)]
NoMembers = Annotated[dict[str, Any], Field(max_length=0)]
Zero = Annotated[Number, Field(ge=0, le=0)]
One = Annotated[Number, Field(ge=1, le=1)]
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
        return made


class NoThinking(Strict):
    """Members for chat templates of models that think."""

    enable_thinking: Literal[False] = False
    thinking: Literal[False] = False


class CacheOptions(Strict):
    """How long a cache of the sender's idea would keep what."""

    mode: Dropped[str] = None
    ttl: Dropped[str] = None
    prewarm: Dropped[Literal[False]] = None


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
    store: Dropped[Literal[False]] = None
    modalities: Dropped[Annotated[list[Literal["text"]], Field(max_length=1)]] = None
    reasoning_effort: Dropped[str] = None
    verbosity: Dropped[Literal["medium"]] = None
    # A guess of the answer, which only makes it come sooner.
    prediction: Dropped[dict[str, Any]] = None


class OtherServersFields(Strict):
    """Of vLLM, SGLang, llama.cpp and Ollama, mostly their defaults spelled out."""

    add_special_tokens: Dropped[Literal[False]] = None
    allowed_token_ids: Dropped[Nothing] = None
    bad_words: Dropped[Nothing] = None
    best_of: Dropped[One] = None
    cache_prompt: Dropped[Flag] = None
    chat_template_kwargs: Dropped[NoThinking] = None
    detokenize: Dropped[Literal[True]] = None
    documents: Dropped[Nothing] = None
    early_stopping: Dropped[Literal[False]] = None
    echo: Dropped[Literal[False]] = None
    enable_thinking: Dropped[Literal[False]] = None
    ignore_eos: Dropped[Literal[False]] = None
    include_reasoning: Dropped[Flag] = None
    include_stop_str_in_output: Dropped[Literal[False]] = None
    length_penalty: Dropped[One] = None
    logits_processors: Dropped[Nothing] = None
    media_io_kwargs: Dropped[NoMembers] = None
    min_tokens: Dropped[Zero] = None
    mirostat: Dropped[Zero] = None
    no_stop_trim: Dropped[Literal[False]] = None
    plugins: Dropped[Nothing] = None
    priority: Dropped[Zero] = None
    repeat_penalty: Dropped[One] = None
    request_id: Dropped[str] = None
    return_hidden_states: Dropped[Literal[False]] = None
    return_progress: Dropped[Literal[False]] = None
    return_token_ids: Dropped[Literal[False]] = None
    return_tokens_as_token_ids: Dropped[Literal[False]] = None
    separate_reasoning: Dropped[Flag] = None
    skip_special_tokens: Dropped[Literal[True]] = None
    spaces_between_special_tokens: Dropped[Literal[True]] = None
    stop_token_ids: Dropped[Nothing] = None
    stream_reasoning: Dropped[Flag] = None
    think: Dropped[Literal[False]] = None
    timings_per_token: Dropped[Literal[False]] = None
    transforms: Dropped[Nothing] = None
    truncate_prompt_tokens: Dropped[Annotated[Whole, Field(ge=-1, le=-1)]] = None
    typical_p: Dropped[One] = None
    use_beam_search: Dropped[Literal[False]] = None
    vllm_xargs: Dropped[NoMembers] = None


class StreamFields(Strict):
    """Of `stream_options`."""

    include_obfuscation: Dropped[Literal[False]] = None
    continuous_usage_stats: Dropped[Literal[False]] = None


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
    prefix: Dropped[Literal[False]] = None
    partial: Dropped[Literal[False]] = None


class PartFields(CacheFields):
    """Of a part of a message."""

    id: Dropped[str] = None
    annotations: Dropped[list[Any]] = None
    logprobs: Dropped[list[Any]] = None
    parsed: Dropped[Anything] = None
    provider_specific_fields: Dropped[dict[str, Any]] = None
