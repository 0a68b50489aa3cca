"""docs/api.md lists every field of a request, and none that there is not; what it calls refused is refused."""

import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from qwen_demo.api import parts
from qwen_demo.api.idle_fields import CommonFields, OtherServersFields
from qwen_demo.api.openapi import ChatCompletion, ErrorBody, HealthBody, ModelBody, ReadyBody
from qwen_demo.api.responses import items
from qwen_demo.api.responses.document import ResponseObject
from qwen_demo.api.responses.schemas import ResponsesRequest
from qwen_demo.api.schemas import ChatCompletionRequest, ChatMessage, InferenceRequest, InferenceResponse
from qwen_demo.http.errors import UNSUPPORTED
from tests.conftest import ROOT

ITEMS = (items.MessageItem, items.CallItem, items.CallOutputItem, items.ReasoningItem, items.ItemReference)
PARTS = (parts.TextPart, parts.RefusalPart, parts.ImagePart, parts.VideoPart, parts.ModelPart, parts.FilePart)
BOTH = (CommonFields, OtherServersFields)
REQUESTS = {
    "`POST /v1/chat/completions`": (ChatCompletionRequest,),
    "A message": (ChatMessage,),
    "`POST /v1/responses`": (ResponsesRequest,),
    "An item": ITEMS,
    "Both": BOTH,
    "A part": PARTS,
    "`POST /inference`": (InferenceRequest,),
}
APART = (ChatMessage, *ITEMS, *PARTS)
ANSWERS = (ChatCompletion, ResponseObject, InferenceResponse, ModelBody, HealthBody, ReadyBody, ErrorBody)


def sections() -> dict[str, str]:
    pieces = re.split(r"^###? (.*)\n", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for each in get_args(annotation) for model in models_in(each)}


def fields(*models: type[BaseModel], apart: tuple[type[BaseModel], ...] = ()) -> set[str]:
    """Names of these models and of those inside them, without the models that have a place of their own."""
    names: set[str] = set()
    waiting, seen = list(models), set(apart)
    while waiting:
        model = waiting.pop()
        seen.add(model)
        for name, info in model.model_fields.items():
            names.add(info.alias or name)
            waiting += models_in(info.annotation) - seen
    return names


def expected(title: str) -> set[str]:
    models = REQUESTS[title]
    names = fields(*models, apart=tuple(model for model in APART if model not in models))
    if models[0] in (ChatCompletionRequest, ResponsesRequest):
        own = {
            name for base in type.mro(models[0]) if base not in BOTH for name in vars(base).get("__annotations__", {})
        }
        names -= fields(*BOTH) - own
    return names | ({"file"} if models[0] is InferenceRequest else set())


def bullets(text: str) -> list[str]:
    """The names that each bullet begins with."""
    return [
        name
        for bullet in re.findall(r"^- (.*(?:\n  .*)*)", text, flags=re.MULTILINE)
        for name in re.findall(r"`([a-z_]+)`", re.split(r": |$", bullet.replace("\n", " "), maxsplit=1)[0])
    ]


@pytest.mark.parametrize("title", REQUESTS)
def test_every_field_has_its_line(title):
    text = sections()[title] + sections()["Tools"]
    names = expected(title)
    assert names
    assert not sorted(name for name in names if not re.search(rf"[`\"]{name}[`\":]", text))


@pytest.mark.parametrize("title", REQUESTS)
def test_no_line_names_a_field_that_is_not_there(title):
    taken = sections()[title].partition("Refused, among others")[0]
    known = fields(*REQUESTS[title]) | {"file"} | (set(parts._KINDS) if REQUESTS[title] == PARTS else set())
    assert bullets(taken)
    assert sorted(set(bullets(taken)) - known) == []


@pytest.mark.parametrize(
    ("title", "model", "sent"),
    [
        ("`POST /v1/chat/completions`", ChatCompletionRequest, {"messages": [{"role": "user", "content": "x"}]}),
        ("`POST /v1/responses`", ResponsesRequest, {"input": "x"}),
    ],
)
def test_what_is_called_refused_is_refused_by_its_name(title, model, sent):
    model.model_validate(sent)
    names = bullets(sections()[title].partition("Refused, among others")[2])
    assert len(names) > 5
    for name in names:
        with pytest.raises(ValidationError) as refused:
            model.model_validate({**sent, name: "x"})
        (error,) = refused.value.errors()
        assert (error["loc"], error["type"] in ("extra_forbidden", UNSUPPORTED)) == ((name,), True)


def test_every_member_of_an_answer_is_named():
    text = "".join(text for title, text in sections().items() if title.startswith(("An answer", "Errors", "Other")))
    assert not sorted(name for name in fields(*ANSWERS) if not re.search(rf"[`\"]{name}[`\":]", text))
