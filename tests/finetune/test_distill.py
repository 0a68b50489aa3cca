"""A teacher's answers are kept where two samples agree and hold; boxes are written in the image's own pixels."""

import json
from collections.abc import AsyncGenerator

import pytest

from qwen_demo.errors import ContextTooLong, EngineFailed, InvalidRequest
from qwen_demo.finetune.distill import Questions, agree, images_in, read_questions, write_answers
from qwen_demo.settings import Settings
from qwen_demo.types import Event, Finished, ModelInfo, TextDelta, Timing, Usage

SETTINGS = Settings(decoders=1, cache_seconds=0)
BOX = '[{"bbox_2d": [%s], "label": "square"}]'


class Teacher:
    """Answers by the question: a pair of samples."""

    def __init__(self, **answers):
        self.info = ModelInfo(model_id="teacher", min_pixels=3136, max_pixels=28 * 28 * 64)
        self.answers = answers

    async def stream(self, request) -> AsyncGenerator[Event, None]:
        answer = self.answers[request.messages[0].text][request.sampling.temperature > 0]
        if answer:
            yield TextDelta(answer)
        yield Finished("stop" if answer else "length", Usage(1, 1, 1), Timing())


async def test_only_answers_that_agree_and_hold_are_kept(draw, tmp_path):
    draw("a.png", size=(448, 448))
    (tmp_path / "b.png").write_bytes(b"no image")
    whole, beyond = BOX % "56, 56, 112, 112", BOX % "56, 56, 112, 900"
    teacher = Teacher(
        same=("A square.", "a  square."),
        differ=("A square.", "A circle."),
        cut=("A square.", ""),
        box=(whole, BOX % "56, 56, 112, 115"),
        beyond=(beyond, beyond),
        broken=(whole[:-1], whole[:-1]),
    )
    out = tmp_path / "data.jsonl"
    counts = await write_answers(teacher, images_in(tmp_path), Questions(tuple(teacher.answers)), out, SETTINGS, print)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["question"] for row in rows] == ["same", "box"]
    assert rows[1]["answer"] == BOX % "112, 112, 224, 224"  # the teacher saw 224 x 224 of 448 x 448 pixels
    assert counts == {
        "kept": 2,
        "two samples differ": 1,
        "cut off": 1,
        "boxes outside": 1,
        "no JSON, or not as the schema says": 1,
        "unreadable": 1,
    }
    assert not list(tmp_path.glob("*.part"))


async def test_a_teacher_that_broke_off_is_not_asked_again_what_it_has_answered(draw, tmp_path):
    for at in range(4):
        draw(f"{at}.png", at=20 + at)

    class Failing(Teacher):
        asked, ends_after = 0, 4

        async def stream(self, request) -> AsyncGenerator[Event, None]:
            self.asked += 1
            if self.asked > self.ends_after:
                raise EngineFailed("gone")
            if self.asked == 1:
                raise ContextTooLong("too many tokens")
            async for event in super().stream(request):
                yield event

    teacher, out = Failing(q=("x", "x")), tmp_path / "new" / "small.jsonl"
    order = images_in(tmp_path), Questions(("q",)), out, SETTINGS, print
    with pytest.raises(EngineFailed):
        await write_answers(teacher, *order)
    teacher.ends_after = 99
    counts = await write_answers(teacher, *order)
    # One refused, one pair and one answer of the next pair; then that pair anew and the last.
    assert counts == {"refused by the teacher": 1, "kept": 3} and teacher.asked == 1 + 2 + 2 + 2 + 2
    assert len(out.read_text().splitlines()) == 3
    assert [path.name for path in out.parent.iterdir()] == ["small.jsonl"]


async def test_a_schema_holds_every_answer(draw, tmp_path):
    draw("a.png")
    teacher = Teacher(good=('{"n": 1}', '{"n": 1}'), bad=('{"n": "x"}', '{"n": "x"}'))
    schema = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}})
    out = tmp_path / "data.jsonl"
    counts = await write_answers(teacher, images_in(tmp_path), Questions(("good", "bad"), schema), out, SETTINGS, print)
    assert counts["kept"] == 1
    with pytest.raises(InvalidRequest, match="None of the teacher's answers"):
        await write_answers(teacher, images_in(tmp_path), Questions(("bad",), schema), out, SETTINGS, print)


def test_questions_are_lines_and_images_are_there(tmp_path):
    file = tmp_path / "questions.txt"
    file.write_text("One?\n\n Two? \nOne?\n")
    assert read_questions(file) == ("One?", "Two?")
    file.write_text("\n")
    with pytest.raises(InvalidRequest, match="no question in it"):
        read_questions(file)
    with pytest.raises(InvalidRequest, match="no folder with images"):
        images_in(tmp_path)
    assert not agree("one", "two")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_student_of_a_quarter_of_the_size_is_taught_from_end_to_end(draw, tmp_path, capsys):
    from benchmarks.finetune import quarter
    from qwen_demo.server.cli import main

    for at in range(20, 80, 10):
        draw(f"{at}.png", ("red", "blue")[at % 20 == 0], at, (224, 224))
    assert quarter(tmp_path / "student") > 0
    (tmp_path / "questions.txt").write_text("What objects are in the image?\n")
    words = ["distill", str(tmp_path), "--teacher", "embedded", "--student", str(tmp_path / "student"), "--out"]
    words += [str(tmp_path / "taught"), "--questions", str(tmp_path / "questions.txt"), "--held-out", "0.34"]
    words += [
        "--rank",
        "4",
        "--epochs",
        "1",
        "--batch",
        "2",
        "--threads",
        "1",
        "--decoders",
        "1",
        "--answer-tokens",
        "32",
    ]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(tmp_path / "taught")
    assert "Teacher: " in said.err and "word for word as the teacher (0% before)" in said.err
    rows = [json.loads(line) for line in (tmp_path / "taught.jsonl").read_text().splitlines()]
    report = json.loads((tmp_path / "taught" / "report.json").read_text())
    assert report["rows"] + report["after"]["rows"] == len(rows) > 2 and report["remembered"] == 0
