"""The clients that people have, used as their own manuals and our README say, against the running program."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from pydantic import BaseModel

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed
from qwen_demo.http.credentials import new_key
from tests.api.conftest import TWO_WORDS
from tests.api.test_chat_completions import data_url

QUESTION = [{"role": "user", "content": "hello"}]


def about_a_image(colour: str = "red", text: str = "What color is the circle?") -> list[dict]:
    image = {"type": "image_url", "image_url": {"url": data_url(colour)}}
    return [{"role": "user", "content": [image, {"type": "text", "text": text}]}]


@pytest.fixture
def client():
    """Makes `openai` clients and closes them."""
    clients = []

    def client_(app, **options) -> openai.OpenAI:
        clients.append(openai.OpenAI(base_url=f"{app.url}/v1", **{"api_key": "unused", "max_retries": 0, **options}))
        return clients[-1]

    yield client_
    for each in clients:
        each.close()


def test_openai_asks_about_a_image(app, client):
    answer = client(app).chat.completions.create(model="scripted", messages=about_a_image())
    assert answer.choices[0].message.content == "one two"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 2
    assert answer.usage.prompt_tokens_details.cached_tokens == 0
    assert answer._request_id
    assert len(app.engine.requests[0].messages[0].parts) == 2


def test_openai_streams_with_usage(app, client):
    stream = client(app).chat.completions.create(
        model="scripted", messages=about_a_image(), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two"
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [2]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_openais_own_stream_helper_works(app, client):
    with client(app).chat.completions.stream(model="scripted", messages=QUESTION) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
    assert text == "one two"
    assert stream.get_final_completion().choices[0].message.content == "one two"


async def test_async_openai_asks_and_streams(app):
    async with openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key="unused", max_retries=0) as client:
        answer = await client.chat.completions.create(model="scripted", messages=about_a_image())
        stream = await client.chat.completions.create(model="scripted", messages=QUESTION, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert answer.choices[0].message.content == "".join(pieces) == "one two"


def test_openai_lists_models(app, client):
    models = client(app).models
    assert [model.id for model in models.list()] == ["scripted"]
    assert models.retrieve("scripted").owned_by == "qwen-demo"
    with pytest.raises(openai.NotFoundError):
        models.retrieve("gpt-9")


def test_vllms_extra_fields_go_through_extra_body(app, client):
    client(app).chat.completions.create(
        model="scripted", messages=QUESTION, extra_body={"top_k": 5, "mm_processor_kwargs": {"max_pixels": 78400}}
    )
    assert (app.engine.requests[0].sampling.top_k, app.engine.requests[0].max_pixels) == (5, 78400)


def test_leaving_a_stream_of_openai_frees_the_slot(app, client):
    app.engine.script = Script(["a "] * 1000, gap_s=0.02)
    with client(app).chat.completions.create(
        model="scripted", messages=QUESTION, stream=True, max_tokens=1000
    ) as stream:
        next(iter(stream))
        assert app.engine.health().running == 1
    client(app).models.list()
    for _ in range(500):
        if not app.engine.health().running:
            return
        httpx.get(f"{app.url}/health")
    raise AssertionError("the slot was not freed")


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found"),
        ({"temperature": 9}, openai.BadRequestError, "invalid_request"),
        ({"functions": [{"name": "f"}]}, openai.BadRequestError, "unsupported_field"),
        ({"messages": about_a_image()[0]["content"]}, openai.BadRequestError, "invalid_request"),
    ],
)
def test_a_refusal_is_the_exception_that_openai_has_for_it(app, client, change, kind, code):
    with pytest.raises(kind) as refused:
        client(app).chat.completions.create(**{"model": "scripted", "messages": QUESTION, **change})
    assert refused.value.code == code
    assert refused.value.request_id


def test_over_capacity_is_a_rate_limit_error_with_retry_after(start, client):
    app = start(Script(["a"], first_s=600), max_running=1, max_waiting=0)
    with client(app).chat.completions.create(model="scripted", messages=QUESTION, stream=True):
        for stream in (False, True):
            with pytest.raises(openai.RateLimitError) as refused:
                client(app).chat.completions.create(model="scripted", messages=QUESTION, stream=stream)
            assert refused.value.code == "overloaded"
            assert int(refused.value.response.headers["retry-after"]) >= 1


def test_openai_waits_and_asks_again_by_itself_when_told_to(start, client):
    app = start(Script(["a"], first_s=3600), max_running=1, max_waiting=0)
    asking = client(app, max_retries=20)
    with ThreadPoolExecutor(1) as pool:
        with client(app).chat.completions.create(model="scripted", messages=QUESTION, stream=True):
            app.engine.script = TWO_WORDS  # for whoever comes after
            answer = pool.submit(asking.chat.completions.create, model="scripted", messages=QUESTION)
            deadline = time.monotonic() + 60
            while 'qwen_rejected_total{reason="overloaded"}' not in app.service.metrics.text().decode():
                assert time.monotonic() < deadline, "it was not turned away"
                time.sleep(0.01)
        assert answer.result(120).choices[0].message.content == "one two"


def test_keys_failures_and_a_model_that_is_not_ready_have_their_exceptions(start, client, tmp_path):
    key, hashed = new_key()
    (tmp_path / "keys").write_text(f"alice:{hashed}\n")
    app = start(Script(["a"], error=EngineFailed("The model failed.")), api_keys_file=tmp_path / "keys")
    with pytest.raises(openai.AuthenticationError) as refused:
        client(app, api_key="wrong").models.list()
    assert refused.value.code == "invalid_api_key"
    asking = client(app, api_key=key)
    assert [model.id for model in asking.models.list()] == ["scripted"]
    with pytest.raises(openai.InternalServerError) as refused:
        asking.chat.completions.create(model="scripted", messages=QUESTION)
    assert refused.value.code == "engine_failed"
    with pytest.raises(openai.APIError, match="The model failed"):
        app.engine.script = Script(["a", "b"], error=EngineFailed("The model failed."), error_after=1)
        list(asking.chat.completions.create(model="scripted", messages=QUESTION, stream=True))
    app.engine._ready = False
    with pytest.raises(openai.InternalServerError) as refused:
        asking.chat.completions.create(model="scripted", messages=QUESTION)
    assert refused.value.status_code == 503


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_litellm_asks_and_streams(app, litellm):
    here = {"model": "openai/scripted", "api_base": f"{app.url}/v1", "api_key": "unused", "num_retries": 0}
    answer = litellm.completion(messages=about_a_image(), **here)
    assert answer.choices[0].message.content == "one two"
    assert answer.usage.completion_tokens == 2
    chunks = litellm.completion(messages=QUESTION, stream=True, **here)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(messages=QUESTION, temperature=9, **here)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_litellm_sends_its_own_answer_back(app, litellm):
    here = {"model": "openai/scripted", "api_base": f"{app.url}/v1", "api_key": "unused", "num_retries": 0}
    first = litellm.completion(messages=about_a_image(), **here).choices[0].message
    turns = [*about_a_image(), first, *QUESTION]
    assert litellm.completion(messages=turns, tools=[], store=False, **here).choices[0].message.content
    assert [message.role for message in app.engine.requests[1].messages] == ["user", "assistant", "user"]


def test_openai_sends_its_own_answer_back_and_reads_a_schema(app, client):
    create = client(app).chat.completions.create
    first = create(model="scripted", messages=about_a_image()).choices[0].message
    for sent in (first, first.model_dump()):
        assert create(model="scripted", messages=[*about_a_image(), sent, *QUESTION], store=False, tools=[]).choices
    assert [message.text for message in app.engine.requests[2].messages[1:]] == ["one two", "hello"]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_openais_parse_holds_the_embedded_models_answer_to_a_model(embedded, client):
    class Colour(BaseModel):
        red: bool

    parsed = client(embedded).chat.completions.parse(
        model="embedded", messages=about_a_image(), response_format=Colour, max_tokens=100_000
    )
    assert isinstance(parsed.choices[0].message.parsed, Colour)
    again = [*about_a_image(), parsed.choices[0].message, *QUESTION]
    assert client(embedded).chat.completions.create(model="embedded", messages=again).choices[0].message.content


@pytest.mark.filterwarnings("ignore")
def test_langchain_asks_and_streams(app, chat_openai):
    model = chat_openai(model="scripted", base_url=f"{app.url}/v1")
    answer = model.invoke(about_a_image())
    assert answer.content == "one two"
    assert answer.usage_metadata["output_tokens"] == 2
    assert answer.response_metadata["finish_reason"] == "stop"
    assert "".join(chunk.content for chunk in model.stream(QUESTION)) == "one two"
    assert model.invoke([*about_a_image(), answer, ("user", "and now?")]).content == "one two"


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


def test_curl_asks_streams_and_uploads(app, tmp_path):
    from tests.conftest import draw

    draw("red").save(tmp_path / "image.png")
    (tmp_path / "question.json").write_text(json.dumps({"messages": about_a_image()}))
    as_json = ("-H", "Content-Type: application/json")
    answer = curl(f"{app.url}/v1/chat/completions", *as_json, "-d", json.dumps({"messages": QUESTION}))
    assert json.loads(answer)["choices"][0]["message"]["content"] == "one two"
    answer = curl(f"{app.url}/v1/chat/completions", *as_json, "-d", f"@{tmp_path}/question.json")
    assert json.loads(answer)["choices"][0]["message"]["content"] == "one two"
    stream = curl(
        "-N", f"{app.url}/v1/chat/completions", *as_json, "-d", json.dumps({"messages": QUESTION, "stream": True})
    )
    assert stream.endswith("data: [DONE]\n\n")
    answer = curl(f"{app.url}/inference", "-F", "prompt=What is it?", "-F", f"file=@{tmp_path}/image.png")
    assert json.loads(answer)["response"] == "one two"
    answer = curl(f"{app.url}/inference", *as_json, "-d", '{"prompt": "What is it?"}')
    assert json.loads(answer)["token_count"] == 2


def test_the_real_embedded_model_answers_openai(embedded, client):
    create = client(embedded).chat.completions.create
    red, blue = (create(model="embedded", messages=about_a_image(colour)) for colour in ("red", "blue"))
    assert "red" in red.choices[0].message.content
    assert "blue" in blue.choices[0].message.content
    assert red.usage.prompt_tokens_details.image_tokens > 50
    chunks = create(model="embedded", messages=about_a_image(), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == red.choices[0].message.content
    cut = create(model="embedded", messages=about_a_image(), max_tokens=1)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 1)
