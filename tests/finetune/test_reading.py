"""Data as people have it: four formats are one row, and what is wrong is said with its line."""

import base64
import json

import pytest

from qwen_demo.finetune.reading import Images, files_of, read
from qwen_demo.finetune.rows import Row, RowProblem
from qwen_demo.settings import Settings

QUESTION, ANSWER = "What is it?", "A red square."


@pytest.fixture
def rows(tmp_path):
    def found(path, question=""):
        images = Images(Settings(), [tmp_path], tmp_path / "kept")
        return list(read(files_of(path), images, question))

    return found


def openai(image):
    parts = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": QUESTION}]
    return {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": ANSWER}]}


def factory(image):
    asked = {"role": "user", "content": f"<image>{QUESTION}"}
    return {"messages": [asked, {"role": "assistant", "content": ANSWER}], "images": [image]}


def llava(image):
    asked = {"from": "human", "value": f"<image>\n{QUESTION}"}
    return {"id": "1", "image": image, "conversations": [asked, {"from": "gpt", "value": ANSWER}]}


@pytest.mark.parametrize("form", [openai, factory, llava])
def test_every_format_is_the_same_row(rows, draw, write, form):
    (row,) = rows(write("data.jsonl", form(draw("a.png"))))
    assert isinstance(row, Row) and row.where == "data.jsonl:1"
    assert [image.path.name for image in row.images] == ["a.png"]
    assert (row.question, row.answer, row.turns[0].parts[1]) == (QUESTION, ANSWER, QUESTION)
    assert [turn.taught for turn in row.turns] == [False, True]


def test_a_table_and_a_list_are_read_as_well(rows, draw, write):
    draw("a.png")
    (row,) = rows(write("data.csv", f'image,answer,split\na.png,"{ANSWER}",test\n'), QUESTION)
    assert (row.question, row.answer, row.part) == (QUESTION, ANSWER, "held_out")
    both = rows(write("list.json", json.dumps([factory("a.png"), llava("a.png")])))
    assert [each.where for each in both] == ["list.json[1]", "list.json[2]"]


def test_the_part_is_what_the_file_is_called(rows, draw, write):
    for name in ("train.jsonl", "signs_val.jsonl"):
        folder = write(name, openai(draw("a.png"))).parent
    assert {row.where.split(":")[0]: row.part for row in rows(folder)} == {
        "train.jsonl": "train",
        "signs_val.jsonl": "held_out",
    }


def test_an_image_inside_the_data_is_held_by_path(rows, draw, write, tmp_path):
    data = (tmp_path / draw("a.png")).read_bytes()
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    (row,) = rows(write("data.jsonl", openai(url)))
    assert row.images[0].path.parent == tmp_path / "kept" and row.images[0].path.read_bytes() == data
    (row,) = rows(write("data.jsonl", openai("https://example.org/a.png")))
    assert row.images[0].is_url


def test_a_corrected_answer_is_what_is_learnt_and_weight_0_is_not(rows, draw, write):
    said = openai(draw("a.png"))
    said["messages"] += [{"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "No."}]
    said["messages"][1] |= {"weight": 0}
    said["messages"][3] |= {"corrected": "Yes."}
    (row,) = rows(write("data.jsonl", said))
    assert row.answer == "Yes." and [turn.taught for turn in row.turns] == [False, False, False, True]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{\n", "is not JSON"),
        ("[1]\n", "is a list, not an object"),
        ("[" * 100_000 + "\n", "nested too deeply"),
        ('{"image": "a.png", "answer": "\\ud800"}\n', "half of a surrogate pair"),
        ({"text": "x"}, "has none of messages"),
        ({"messages": "x"}, "messages is a text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "the role 'tool'"),
        ({"messages": [{"role": "user", "content": 3}]}, "a number for its content"),
        ({"messages": [{"role": "user", "content": "x"}]}, "ends with a question"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "to and fro"),
        (factory("a.png") | {"images": []}, None),
        (factory("a.png") | {"images": ["a.png", "a.png"]}, "lists 2 images, and its words have 1"),
        (factory("a.png") | {"messages": openai("a.png")["messages"][1:]}, "lists 1 images"),
        (openai("gone.png"), "no such file"),
        (openai("/etc/passwd"), "outside of the data's folder"),
        (openai("http://example.org/a.png"), "taken are paths"),
        (openai("data:image/png;base64,!!!"), "base64"),
        ({"image": "a.png", "answer": "x"}, "has no question"),
        ({"image": "a.png", "answer": " ", "question": "x"}, "empty answer"),
        ({"image": "a.png", "answer": "x", "question": "x", "split": "some"}, "the split 'some'"),
        (factory("a.png") | {"videos": ["a.mp4"]}, "has videos"),
        ({"image": "A" * 5000, "answer": "x", "question": "x"}, "no such file"),
        ({"image": 5, "answer": "x", "question": "x"}, "image is a number"),
    ],
    ids=range(23),
)
def test_what_is_wrong_is_said_with_its_line(rows, draw, write, line, words):
    draw("a.png")
    first, second = rows(write("data.jsonl", openai("a.png"), line))
    assert isinstance(first, Row)
    if words is None:
        assert isinstance(second, Row)  # no image is listed, so the tag is words of a person's
    else:
        assert isinstance(second, RowProblem) and second.where == "data.jsonl:2" and words in str(second)


def test_a_system_prompt_beside_the_messages_is_the_conversations(rows, draw, write):
    (row,) = rows(write("data.jsonl", factory(draw("a.png")) | {"system": "Answer in French."}))
    assert (row.turns[0].role, row.turns[0].text) == ("system", "Answer in French.")


def test_a_table_may_have_photographs_in_its_fields_and_a_column_named_part(rows, draw, write, tmp_path):
    draw("a.png")
    url = "data:image/png;base64," + base64.b64encode((tmp_path / "a.png").read_bytes() + bytes(200_000)).decode()
    (row,) = rows(write("data.csv", f'image,question,answer,part\n"{url}",What?,A bolt.,bolt\n'))
    assert (row.answer, row.part) == ("A bolt.", "")
