"""Fields that programs send: taken where they ask for nothing, refused by name where they ask for what is not done."""

import re

import pytest

from qwen_demo.types import Image, Text, Video
from tests.api.test_chat_completions import HELLO, data_url

FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def post(app, body: dict):
    with app.client() as client:
        return client.post("/v1/chat/completions", json=body)


def refusal(app, body: dict) -> dict:
    response = post(app, body)
    assert response.status_code == 400, response.text
    return response.json()["error"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [], "tool_choice": "none"},
        {"tool_choice": "auto", "parallel_tool_calls": True},
        {"functions": [], "function_call": "auto"},
        {"logit_bias": {}, "store": False, "metadata": {"session": "a"}, "user": "x" * 300},
        {"reasoning_effort": "high", "reasoning": {"effort": "low"}, "verbosity": "medium"},
        {"service_tier": "auto", "modalities": ["text"], "prediction": {"type": "content", "content": "x"}},
        {"prompt_cache_key": "a", "prompt_cache_retention": "24h", "safety_identifier": "b"},
        {"chat_template_kwargs": {"enable_thinking": False}, "think": False, "enable_thinking": False},
        {"n": 1, "best_of": 1, "use_beam_search": False, "length_penalty": 1.0, "early_stopping": False},
        {"skip_special_tokens": True, "spaces_between_special_tokens": True, "echo": False, "detokenize": True},
        {"add_generation_prompt": True, "continue_final_message": False, "add_special_tokens": False},
        {"ignore_eos": False, "stop_token_ids": [], "min_tokens": 0, "bad_words": [], "truncate_prompt_tokens": -1},
        {"include_stop_str_in_output": False, "priority": 0, "documents": [], "logits_processors": []},
        {"logprobs": False, "top_logprobs": 0, "response_format": {"type": "text"}, "stop": []},
        {"cache_prompt": True, "typical_p": 1, "mirostat": 0, "repeat_penalty": 1.0, "timings_per_token": False},
        {"stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_obfuscation": False, "continuous_usage_stats": False}},
        {"max_tokens": 5, "max_completion_tokens": 5},
        {"audio": None, "temprature": None},
    ],
    ids=lambda fields: ", ".join(fields),
)
def test_a_field_that_asks_for_nothing_is_taken(app, fields):
    assert post(app, HELLO | fields).status_code == 200
    (request,) = app.engine.requests
    assert request.messages[0].parts == (Text("hello"),)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"functions": [FUNCTION["function"]]}, "functions"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"store": True}, "store"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "chat_template_kwargs"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"ignore_eos": True}, "ignore_eos"),
        ({"min_tokens": 3}, "min_tokens"),
        ({"length_penalty": 0.5}, "length_penalty"),
        ({"skip_special_tokens": False}, "skip_special_tokens"),
        ({"stop_token_ids": [3]}, "stop_token_ids"),
        ({"guided_json": {}}, "guided_json"),
        ({"temprature": 0.5}, "temprature"),
        ({"stream": True, "stream_options": {"continuous_usage_stats": True}}, "stream_options.continuous_usage_stats"),
        ({"mm_processor_kwargs": {"size": 3}}, "mm_processor_kwargs.size"),
    ],
)
def test_a_field_that_asks_for_something_else_is_refused_by_its_name(app, fields, name):
    error = refusal(app, HELLO | fields)
    assert (error["code"], error["param"]) == ("unsupported_field", name)
    assert name in error["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_calls": None, "function_call": None, "provider_specific_fields": {"refusal": None}},
        {"tool_calls": [], "annotations": [], "refusal": None, "audio": None},
        {"reasoning_content": "hm", "reasoning": "hm", "reasoning_details": [{"text": "hm"}], "thinking_blocks": []},
        {"name": "helper", "id": "msg_1", "cache_control": {"type": "ephemeral"}, "parsed": {"a": 1}},
    ],
)
def test_an_earlier_answer_may_be_sent_back_as_it_was(app, fields):
    turns = [*HELLO["messages"], {"role": "assistant", "content": "hi", **fields}, {"role": "user", "content": "and?"}]
    assert post(app, {"messages": turns}).status_code == 200
    assert app.engine.requests[0].messages[1].text == "hi"


def test_a_refusal_of_an_earlier_answer_is_what_was_said(app):
    turns = [
        *HELLO["messages"],
        {"role": "assistant", "content": None, "refusal": "I will not."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "Nor now."}]},
        {"role": "user", "content": "why?"},
    ]
    assert post(app, {"messages": turns}).status_code == 200
    assert [message.text for message in app.engine.requests[0].messages[1:3]] == ["I will not.", "Nor now."]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"role": "user", "nmae": "x"}, "messages.0.nmae"),
        ({"role": "assistant", "audio": {"id": "1"}}, "messages.0.audio"),
        ({"role": "assistant", "prefix": True}, "messages.0.prefix"),
    ],
)
def test_a_message_that_asks_for_something_else_is_refused(app, fields, name):
    error = refusal(app, {"messages": [{"content": "x", **fields}, *HELLO["messages"]]})
    assert (error["code"], error["param"]) == ("unsupported_field", name)


IMAGE = data_url()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": IMAGE},
        {"type": "image_url", "image_url": {"url": IMAGE, "detail": "original", "format": "image/png"}},
        {"type": "input_image", "image_url": IMAGE, "detail": "high"},
        {"type": "image", "image": IMAGE},
        {"type": "image", "url": IMAGE},
        {"type": "image", "image_url": {"url": IMAGE}},
        {"image_url": {"url": IMAGE}},
        {"image": IMAGE, "cache_control": {"type": "ephemeral"}},
    ],
)
def test_an_image_is_taken_in_every_plain_spelling(app, part):
    content = [part, {"type": "input_text", "text": "what"}, " is it?"]
    assert post(app, {"messages": [{"role": "user", "content": content}]}).status_code == 200
    (message,) = app.engine.requests[0].messages
    assert [type(each) for each in message.parts] == [Image, Text, Text]
    assert message.text == "what is it?"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video", "video": [IMAGE, IMAGE, IMAGE]},
        {"type": "video_url", "video_url": "data:video/jpeg;base64," + ",".join([IMAGE.partition(",")[2]] * 3)},
        {"video": "data:video/jpeg;base64," + ",".join([IMAGE.partition(",")[2]] * 4)},
    ],
)
def test_a_clip_may_be_given_as_its_frames(app, part):
    assert post(app, {"messages": [{"role": "user", "content": [part, "what?"]}]}).status_code == 200
    video = app.engine.requests[0].messages[0].parts[0]
    assert isinstance(video, Video)
    assert (video.raster.count, video.times_s, video.fps) == (4, (0, 0.5, 1, 1.5), 2)


@pytest.mark.parametrize(
    ("part", "place", "words"),
    [
        ({"type": "image_url", "image_url": {"url": None}}, "image_url.url", "needed"),
        ({"type": "image_url", "image_url": {"url": IMAGE, "detail": "huge"}}, "image_url.detail", "'low'"),
        ({"type": "image_url", "image_url": {"url": IMAGE}, "max_pixels": 50176}, "max_pixels", "support"),
        ({"type": "image_url", "image_url": 5}, "image_url", "object"),
        ({"type": "image_url", "image_url": "file:///etc/passwd"}, "image_url", "https"),
        ({"type": "image", "image": "data:image/png;base64,AAAA"}, "image", "image"),
        ({"type": "image"}, "", "image_url"),
        ({"type": "image", "image": IMAGE, "url": IMAGE}, "url", "not several"),
        ({"type": "text"}, "text", "needed"),
        ({"type": "text", "text": ["x"]}, "text", "string"),
        ({"type": "input_audio", "input_audio": {}}, "type", "image_url"),
        ({"text": "x", "image": IMAGE}, "type", "one of"),
        ({"type": "video", "video": []}, "video", "at least 1"),
        ({"type": "video", "video": ["x"]}, "video", "https"),
        (5, "type", "one of"),
    ],
)
def test_a_fault_inside_a_part_is_told_at_its_place_in_the_callers_words(app, part, place, words):
    error = refusal(app, {"messages": [{"role": "user", "content": ["see:", part]}]})
    assert error["param"] == "messages.0.content.1" + (f".{place}" if place else "")
    assert words in error["message"]
    assert not re.search(r"<\w+>|constrained|Value error|max_new_tokens|pydantic", error["message"])


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"stop": ["a"] * 5}, "stop", "at most 4"),
        ({"stop": ["a", ""]}, "stop.1", "at least 1"),
        ({"max_completion_tokens": 0}, "max_completion_tokens", "greater than or equal to 1"),
        ({"messages": "hello"}, "messages", "list"),
        ({"messages": [{"content": "x"}]}, "messages.0.role", "needed"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "list"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens", "not both"),
        ({"top_logprobs": 2}, "top_logprobs", "logprobs: true"),
        ({"top_k": -2}, "top_k", "-2"),
        ({"temperature": False}, "temperature", "number"),
        ({"max_tokens": True}, "max_tokens", "number"),
        ({"stream": 1}, "stream", "boolean"),
    ],
)
def test_the_field_that_was_sent_is_named(app, change, place, words):
    error = refusal(app, HELLO | change)
    assert (error["param"], words in error["message"]) == (place, True), error


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_longer_answer_than_there_may_be_is_cut_and_says_so(app, field):
    from qwen_demo.engines.scripted import Script

    app.engine.script = Script(["a"] * 3000)
    choice = post(app, HELLO | {field: 128_000}).json()["choices"][0]
    assert (len(choice["message"]["content"]), choice["finish_reason"]) == (2048, "length")


def test_minus_one_is_no_top_k_and_a_fresh_seed(app):
    assert post(app, HELLO | {"top_k": -1, "seed": -1, "temperature": 0.5}).status_code == 200
    assert (app.engine.requests[0].sampling.top_k, app.engine.requests[0].sampling.seed) == (0, None)


USER, SYSTEM = {"role": "user", "content": "hello"}, {"role": "system", "content": "Be brief."}
ANSWER = {"role": "assistant", "content": "hi"}


@pytest.mark.parametrize(
    "messages",
    [[USER, SYSTEM], [SYSTEM], [{"role": "developer", "content": "x"}], [SYSTEM, SYSTEM, USER], [USER, USER, USER]],
)
def test_whoever_speaks_last_or_twice_is_answered(app, messages):
    assert post(app, {"messages": messages}).status_code == 200
    assert len(app.engine.requests[0].messages) == len(messages)


def test_a_last_message_of_the_assistant_is_continued_if_that_is_asked_for(app):
    going_on = {"messages": [USER, ANSWER], "continue_final_message": True}
    for prompt in ({}, {"add_generation_prompt": False}):
        assert post(app, going_on | prompt).status_code == 200
    assert all(request.continue_final_message for request in app.engine.requests)
    error = refusal(app, {"messages": [USER, ANSWER]})
    assert error["param"] == "messages"
    assert "continue_final_message" in error["message"]


def test_an_empty_message_to_continue_is_an_answer_from_its_begin(app):
    assert post(app, {"messages": [USER, ANSWER | {"content": ""}], "continue_final_message": True}).status_code == 200
    (request,) = app.engine.requests
    assert (len(request.messages), request.continue_final_message) == (1, False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"add_generation_prompt": True}, "add_generation_prompt"),
        ({"continue_final_message": False, "add_generation_prompt": False}, "add_generation_prompt"),
        ({"messages": [USER]}, "continue_final_message"),
        ({"response_format": {"type": "json_object"}}, "continue_final_message"),
    ],
)
def test_what_cannot_be_continued_is_refused(app, change, field):
    assert refusal(app, {"messages": [USER, ANSWER], "continue_final_message": True, **change})["param"] == field
