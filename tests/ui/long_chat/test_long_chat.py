"""What of a long conversation is shown, and that nothing of it is lost."""

import json

import gradio as gr
import pytest
from gradio.components.chatbot import ChatbotDataMessages

from qwen_demo.ui import chat, gradio_internals, render
from qwen_demo.ui.long_chat import long_chat


@pytest.fixture
def chatbot():
    return long_chat.Chatbot(render=False)


def history(questions: int, file: str = "") -> list:
    made: list = []
    for number in range(questions):
        made = chat.ask(made, {"text": f"question {number}", "files": [file] if file and not number else []})
        made += [render.answer(f"  answer {number}"), render.note("timing")]
    return made


def told(messages) -> list:
    """Role, words, files and note of each."""
    return [
        (
            message["role"],
            [part.get("text", part.get("file", {}).get("path")) for part in chat.parts_of(message)],
            (message.get("metadata") or {}).get("title"),
        )
        for message in messages
    ]


def sent_back(chatbot, shown) -> list:
    """As a handler is given what the browser holds."""
    return chatbot.preprocess(ChatbotDataMessages.model_validate(json.loads(shown.model_dump_json())))


@pytest.mark.parametrize("questions", [0, 1, long_chat.SHOWN + long_chat.MORE - 1])
def test_a_short_conversation_is_shown_whole(chatbot, questions):
    shown = chatbot.postprocess(history(questions))
    assert len(shown.root) == 3 * questions
    assert sent_back(chatbot, shown).hidden == 0


@pytest.mark.parametrize("questions", [long_chat.SHOWN + long_chat.MORE, 40, 41, 42, 200])
def test_of_a_long_one_the_last_questions_are_shown_and_handlers_are_given_all(chatbot, questions):
    whole = history(questions, file="/uploads/a.png")
    shown = chatbot.postprocess(whole)
    count = (len(shown.root) - 1) // 3
    assert long_chat.SHOWN <= count < long_chat.SHOWN + long_chat.MORE
    assert f"asked-{questions - count} files" in shown.root[0].metadata["title"]
    assert shown.root[1].content[0].text == f"question {questions - count}"


def test_files_that_are_held_back_must_be_uploads_too(chatbot, red, monkeypatch):
    shown = chatbot.postprocess(history(40, file=red))
    with pytest.raises(gr.Error, match="not uploaded here"):
        sent_back(chatbot, shown)
    monkeypatch.setattr(gradio_internals, "is_upload", lambda path: path == red)
    assert told(sent_back(chatbot, shown)) == told(history(40, file=red))


@pytest.mark.parametrize("held", ["", "{}", "[1]", '[{"role": "user"}]', "[" * 100_000])
def test_what_is_no_conversation_is_refused(chatbot, held):
    shown = chatbot.postprocess(history(40))
    shown.root[0].metadata["id"] = long_chat.PREFIX + held
    with pytest.raises(gr.Error):
        sent_back(chatbot, shown)


def test_a_growing_answer_is_shown_as_the_whole_conversation_would_be(chatbot):
    whole = history(40)
    growing = long_chat.Growing(chatbot, whole)
    later = [*whole, render.answer("more")]
    assert chatbot.postprocess(growing.of(later)) == chatbot.postprocess(later)


def test_an_index_of_the_browser_is_that_of_the_whole_conversation(chatbot):
    shown = chatbot.postprocess(history(40))
    whole = sent_back(chatbot, shown)
    for index, message in list(enumerate(shown.root))[1:]:
        found = whole[long_chat.index_of(whole, [index, 0])]
        assert chat.parts_of(found)[0]["text"] == message.content[0].text
    assert long_chat.index_of(history(3), 4) == 4
