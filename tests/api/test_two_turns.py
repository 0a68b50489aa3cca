"""Clients hold two turns with an image, a tool and a schema: they call, give the result back, and read JSON.

The scripted engine plays the model, so that what each client sends and understands is what is tried.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import openai
import pytest
from pydantic import BaseModel

from qwen_demo.engines.scripted import Script
from qwen_demo.types import Image
from tests.api.test_chat_completions import data_url

ASKED = "Which city is this, and how warm is it there?"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "weather", "description": "Of a city.", "parameters": PARAMETERS, "strict": True}
CHAT_TOOL = {"type": "function", "function": FUNCTION}
ARGUMENTS, RESULT = {"city": "Rome"}, "31 degrees"
CALLING = Script(["I look. ", '<tool_call>\n{"name": "weather", ', '"arguments": {"city": "Rome"}}\n</tool_', "call>"])
TELLING = Script(['{"city": "Ro', 'me", "degrees": 31}'])


class Weather(BaseModel):
    city: str
    degrees: int


TOLD = Weather(city="Rome", degrees=31)


@dataclass
class Talk:
    """What a client needs for it.

    Attributes:
        goes_on: the model's next answer is the JSON.
    """

    url: str
    goes_on: Callable[[], None]


@pytest.fixture
def talk(app, monkeypatch):
    """Afterwards it is checked that both turns reached the model whole."""
    monkeypatch.setattr(app.engine, "info", replace(app.engine.info, json_schema=True))
    app.engine.script = CALLING
    yield Talk(f"{app.url}/v1", lambda: setattr(app.engine, "script", TELLING))
    first, second = app.engine.requests
    assert [tool.name for tool in first.tools] == ["weather"]
    assert json.loads(first.tools[0].parameters)["properties"] == PARAMETERS["properties"]
    assert [message.role for message in second.messages] == ["user", "assistant", "tool"]
    for request in (first, second):
        assert {type(part) for part in request.messages[0].parts} >= {Image}
        assert request.messages[0].text == ASKED
    said, told = second.messages[1:]
    assert said.text in ("I look.", "")  # some drop what was said beside a call
    (call,) = said.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("weather", ARGUMENTS)
    assert (told.text, told.tool_call_id) == (RESULT, call.id)
    assert set(json.loads(second.sampling.json_schema)["properties"]) == {"city", "degrees"}


def question(text: str = "text", image: str = "image_url") -> list[dict]:
    url = {"url": data_url()} if image == "image_url" else data_url()
    return [{"role": "user", "content": [{"type": text, "text": ASKED}, {"type": image, "image_url": url}]}]


@pytest.fixture
def client(talk):
    with openai.OpenAI(base_url=talk.url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("as_dict", [False, True], ids=["object", "dict"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_openais_chat_completions(talk, client, stream, as_dict):
    turns = question()
    asked = {"model": "scripted", "messages": turns, "tools": [CHAT_TOOL]}
    if stream:
        with client.chat.completions.stream(**asked) as events:
            first = events.get_final_completion().choices[0]
    else:
        first = client.chat.completions.create(**asked).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert json.loads(call.function.arguments) == ARGUMENTS
    said = first.message.model_dump() if as_dict else first.message
    turns += [said, {"role": "tool", "tool_call_id": call.id, "content": RESULT}]
    talk.goes_on()
    if stream:
        with client.chat.completions.stream(**asked, response_format=Weather) as events:
            second = events.get_final_completion().choices[0]
    else:
        second = client.chat.completions.parse(**asked, response_format=Weather).choices[0]
    assert (second.finish_reason, second.message.parsed) == ("stop", TOLD)


@pytest.mark.parametrize("as_dict", [False, True], ids=["object", "dict"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_openais_responses(talk, client, stream, as_dict):
    turns = question("input_text", "input_image")
    asked = {"model": "scripted", "input": turns, "tools": [{"type": "function", **FUNCTION}]}
    if stream:
        with client.responses.stream(**asked) as events:
            kinds = [event.type for event in events]
            first = events.get_final_response()
        assert "response.function_call_arguments.delta" in kinds
    else:
        first = client.responses.create(**asked)
    assert first.output_text == "I look."
    call = first.output[1]
    assert (call.type, json.loads(call.arguments)) == ("function_call", ARGUMENTS)
    said = [item.model_dump() for item in first.output] if as_dict else first.output
    turns += [*said, {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}]
    talk.goes_on()
    if stream:
        with client.responses.stream(**asked, text_format=Weather) as events:
            second = events.get_final_response()
    else:
        second = client.responses.parse(**asked, text_format=Weather)
    assert (second.status, second.output_parsed) == ("completed", TOLD)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_litellms_completion(talk, litellm, stream):
    def ask(**more):
        here = {"model": "openai/scripted", "api_base": talk.url, "api_key": "unused", "num_retries": 0}
        answer = litellm.completion(messages=turns, tools=[CHAT_TOOL], stream=stream, **here, **more)
        return litellm.stream_chunk_builder(list(answer)).choices[0] if stream else answer.choices[0]

    turns = question()
    first = ask()
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert json.loads(call.function.arguments) == ARGUMENTS
    turns += [first.message, {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": RESULT}]
    talk.goes_on()
    second = ask(response_format=Weather)
    assert Weather.model_validate_json(second.message.content) == TOLD


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_litellms_responses(talk, litellm, stream):
    def ask(**more):
        here = {"model": "openai/scripted", "api_base": talk.url, "api_key": "unused", "num_retries": 0}
        tools = [{"type": "function", **FUNCTION}]
        answer = litellm.responses(input=turns, tools=tools, stream=stream, **here, **more)
        return [event for event in answer if event.type == "response.completed"][-1].response if stream else answer

    turns = question("input_text", "input_image")
    first = ask()
    call = first.output[1]
    assert (call.type, json.loads(call.arguments)) == ("function_call", ARGUMENTS)
    sent_back = [item.model_dump() for item in first.output]
    turns += [*sent_back, {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}]
    talk.goes_on()
    second = ask(text_format=Weather)
    assert Weather.model_validate_json(second.output[0].content[0].text) == TOLD


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_langchain(talk, chat_openai, responses, stream):
    from langchain_core.messages import ToolMessage

    def ask(model):
        if not stream:
            return model.invoke(turns)
        first, *others = model.stream(turns)
        return sum(others, first)

    model = chat_openai(model="scripted", base_url=talk.url, use_responses_api=responses, stream_usage=True)
    turns = question()
    first = ask(model.bind_tools([CHAT_TOOL]))
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("weather", ARGUMENTS)
    turns += [first, ToolMessage(RESULT, tool_call_id=call["id"])]
    talk.goes_on()
    second = ask(model.bind_tools([CHAT_TOOL], response_format=Weather, strict=True))
    assert Weather.model_validate_json(second.text) == TOLD
    assert second.usage_metadata["output_tokens"] == 2


@pytest.mark.filterwarnings("ignore")
def test_langchains_structured_output_reads_the_embedded_models_answer(embedded, chat_openai):
    class Seen(BaseModel):
        red: bool

    for responses in (False, True):
        model = chat_openai(model="embedded", base_url=f"{embedded.url}/v1", use_responses_api=responses)
        assert isinstance(model.with_structured_output(Seen).invoke(question()), Seen)


def test_the_embedded_model_holds_two_turns_through_openais_responses(embedded):
    tool = {"type": "function", **FUNCTION}
    turns = question("input_text", "input_image")
    with openai.OpenAI(base_url=f"{embedded.url}/v1", api_key="unused", max_retries=0) as client:
        asked = {"model": "embedded", "input": turns, "tools": [tool], "max_output_tokens": 512}
        first = client.responses.create(**asked, tool_choice="required", parallel_tool_calls=False)
        call = first.output[-1]
        if first.status == "completed":
            assert set(json.loads(call.arguments)) == {"city"}
        assert (call.type, call.name) == ("function_call", "weather")
        turns += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}]
        second = client.responses.create(**asked | {"tool_choice": "none"}, temperature=0)
        assert second.output[0].type == "message"
        assert second.usage.input_tokens_details.image_tokens > 50
