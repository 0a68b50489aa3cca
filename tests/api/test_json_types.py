"""What the OpenAPI document says of each field is what is taken: tried with the values that Python mixes up."""

from typing import Any, get_args

import jsonschema_rs
import pytest
from pydantic import BaseModel, ValidationError

from qwen_demo.api.adapters import LoadAdapter, UnloadAdapter
from qwen_demo.api.idle_fields import Strict
from qwen_demo.api.knowledge.schemas import CollectionChange, SearchRequest
from qwen_demo.api.places import PlacesRequest
from qwen_demo.api.responses.schemas import ResponsesRequest
from qwen_demo.api.schemas import ChatCompletionRequest, InferenceRequest

ROUTES = (ChatCompletionRequest, ResponsesRequest, InferenceRequest, PlacesRequest, SearchRequest, CollectionChange,
          LoadAdapter, UnloadAdapter)  # fmt: skip
NUMBERS: tuple[Any, ...] = (0, 1, -1, 2, 783, 784, 0.0, 1.0, -0.0, -1.0, 0.5, 2**70)
TEXTS = ("", "0", "1", "1.0", "true", "false", "null", "none", "auto", "text")
VALUES: tuple[Any, ...] = (None, False, True, *NUMBERS, *TEXTS)
LISTS = tuple([each] for each in (None, False, True, 0, 1, "", "text", [], {}))
OBJECTS = tuple({"a": each} for each in (None, False, 0, ""))
# A request, a message or a part that asks for something: what is tried stands beside it.
WHOLE: dict[str, dict[str, Any]] = {
    "ImagePart": {"image": "x"},
    "VideoPart": {"video": "x"},
    "FilePart": {"file_data": "x"},
    "CollectionChange": {"name": "x"},
}
NEEDED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "x"}],
    "function": {"name": "f"},
    "tools": [{"type": "function", "name": "f", "function": {"name": "f"}}],
    "allowed_tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "schema": {},
    "role": "assistant",
}
# Of two fields that do not go together: a schema cannot say it.
BETWEEN_FIELDS = {"contradiction", "which_medium", "value_error"}


def models_in(annotation: Any, found: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict) and annotation.__name__ not in found:
        found[annotation.__name__] = annotation
        for field in annotation.model_fields.values():
            models_in(field.annotation, found)
    for each in get_args(annotation):
        models_in(each, found)
    return found


MODELS: dict[str, type[BaseModel]] = {}
for route in ROUTES:
    models_in(route, MODELS)


def enough(model: type[BaseModel]) -> dict[str, Any]:
    """The least that the model takes."""
    schema = model.model_json_schema()
    made = dict(WHOLE.get(model.__name__, {}))
    for name in schema.get("required", ()):
        told = schema["properties"][name]
        needed = told.get("const", told.get("enum", ["x"])[0])
        made[name] = NEEDED.get(name, needed) if "const" not in told else needed
    if model.__name__ in ("AllowedFunctions", "AllowedTools"):
        made["tools"] = [{"type": "function", "name": "f"} if model.__name__ == "AllowedFunctions" else
                         {"type": "function", "function": {"name": "f"}}]  # fmt: skip
    return made


def refused(model: type[BaseModel], body: dict[str, Any]) -> set[str]:
    try:
        model.model_validate(body)
    except ValidationError as error:
        return {each["type"] for each in error.errors()}
    return set()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_what_the_document_says_of_a_field_is_what_is_taken(model):
    schema = model.model_json_schema()
    documented = jsonschema_rs.validator_for(schema)
    base = enough(model)
    assert documented.is_valid(base) and not refused(model, base)
    # A word that nobody knows, and Python's name where the document has another.
    names = {*schema["properties"], *model.model_fields, "nobody_knows_this"}
    for name in sorted(names):
        for value in (*VALUES, *LISTS, *OBJECTS, [], {}):
            body = {**base, name: value}
            why = refused(model, body)
            if documented.is_valid(body):
                assert not why - BETWEEN_FIELDS, (name, value)
            else:
                assert why, (name, value)


def test_a_form_says_numbers_in_words():
    asked = InferenceRequest.of_form({"prompt": "7", "max_tokens": "5", "temperature": "0.5"})
    assert (asked.prompt, asked.max_tokens, asked.temperature) == ("7", 5, 0.5)
    for wrong in ("five", "", "true", "0", "1.5"):
        with pytest.raises(ValidationError):
            InferenceRequest.of_form({"prompt": "x", "max_tokens": wrong})
