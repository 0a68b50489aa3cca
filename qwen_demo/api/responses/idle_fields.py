"""Fields of the Responses API that are taken as long as they ask for nothing, and those that need a memory."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import CommonFields, Dropped, MessageFields, Nothing, Strict
from qwen_demo.http.errors import UNSUPPORTED


def _stored(_: Any) -> Any:
    raise PydanticCustomError(UNSUPPORTED, "Nothing is stored here: send all turns in input and leave this field out")


Stored = Annotated[None, BeforeValidator(_stored)]


class ResponseFields(CommonFields):
    """Of a request."""

    previous_response_id: Stored = None
    conversation: Stored = None
    prompt: Stored = None
    # True is the default of OpenAI and of its clients. Nothing is stored either way, and the answer says so.
    store: Dropped[bool] = None
    background: Dropped[Literal[False]] = None
    truncation: Dropped[Literal["disabled"]] = None
    # Of tools that run on a server; there are none.
    max_tool_calls: Dropped[int] = None
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
