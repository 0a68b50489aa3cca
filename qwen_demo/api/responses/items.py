"""The items of an input: messages, calls of functions and what they gave. They name their faults as `parts.py` does."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import Anything, Dropped
from qwen_demo.api.parts import Content
from qwen_demo.api.responses.idle_fields import CallFields, ItemFields, MessageItemFields
from qwen_demo.http.errors import UNSUPPORTED


class MessageItem(MessageItemFields):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Content


class CallItem(CallFields):
    """A call of an earlier answer."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    # OpenAI's client adds what it read in them.
    parsed_arguments: Dropped[Anything] = None


class CallOutputItem(CallFields):
    """What a function gave."""

    type: Literal["function_call_output"]
    call_id: str
    output: Content
    name: Dropped[str] = None


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


_KINDS = {
    "message": "<message>",
    "function_call": "<call>",
    "function_call_output": "<output>",
    "reasoning": "<reasoning>",
    "item_reference": "<reference>",
}


def _kind(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    kind = item.get("type") or ("message" if "role" in item else "item_reference" if "id" in item else None)
    return _KINDS.get(kind) if isinstance(kind, str) else None


Item = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[CallItem, Tag("<call>")]
    | Annotated[CallOutputItem, Tag("<output>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")]
    | Annotated[SkipJsonSchema[ItemReference], Tag("<reference>")],
    Discriminator(
        _kind,
        custom_error_type="unknown_part",
        custom_error_message="The type of an item must be one of " + ", ".join(list(_KINDS)[:-1]),
    ),
]
Input = Annotated[
    Annotated[str, Tag("<words>")] | Annotated[Annotated[list[Item], Field(min_length=1)], Tag("<parts>")],
    Discriminator(lambda value: "<words>" if isinstance(value, str) else "<parts>"),
]
