"""Fields of the Responses API that are taken as long as they ask for nothing, and those that need a memory."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import (
    CacheFields,
    CommonFields,
    Dropped,
    Flag,
    MessageFields,
    No,
    NoMembers,
    Nothing,
    Strict,
    Whole,
)
from qwen_demo.http.errors import UNSUPPORTED


def _stored(value: Any) -> None:
    if value == "":
        return
    raise PydanticCustomError(UNSUPPORTED, "Nothing is stored here: send all turns in input and leave this field out")


Stored = Annotated[None, BeforeValidator(_stored, json_schema_input_type=Literal[""] | None)]


class ResponseFields(CommonFields):
    """Of a request."""

    previous_response_id: Stored = None
    conversation: Stored = None
    prompt: Stored = None
    # True is the default of OpenAI and of its clients. Nothing is stored either way, and the answer says so.
    store: Dropped[Flag] = None
    background: Dropped[No] = None
    truncation: Dropped[Literal["disabled"]] = None
    # Of tools that run on a server; there are none.
    max_tool_calls: Dropped[Whole] = None
    context_management: Dropped[Nothing] = None
    client_metadata: Dropped[dict[str, Any]] = None


class ItemFields(Strict):
    """Of an item, most of them from an earlier answer."""

    id: Dropped[str] = None
    status: Dropped[str] = None
    created_by: Dropped[str] = None
    provider_specific_fields: Dropped[dict[str, Any]] = None


class MessageItemFields(MessageFields):
    """Of a message among the items."""

    phase: Dropped[str] = None
    created_by: Dropped[str] = None
    tool_calls: Dropped[Nothing] = None
    function_call: Dropped[NoMembers] = None


class CallFields(ItemFields):
    """Of a call or of what it gave."""

    namespace: Dropped[str] = None
    caller: Dropped[dict[str, Any]] = None
    awaited: Dropped[No] = Field(default=None, alias="async")


class FunctionFields(CacheFields):
    """Of a function that may be called."""

    # For tools that are searched, or called by a program of the server's: there is neither.
    defer_loading: Dropped[No] = None
    allowed_callers: Dropped[Annotated[list[Literal["direct"]], Field(max_length=1)]] = None
    awaited: Dropped[No] = Field(default=None, alias="async")
