"""What is learnt is what an engine would be asked; what repeats or leaks is said; boxes are in the model's pixels."""

import json

import numpy as np
import PIL.Image
import pytest

from qwen_demo.finetune.boxes import converted, outside
from qwen_demo.finetune.data import Asked, gathered, perceptual_hash, told
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.types import ChatRequest, Message, Text


def row(image, answer, question="What is it?", **more):
    return {"image": image, "question": question, "answer": answer, **more}


async def found(base, path, tmp_path, **how):
    kept = []
    data = await gathered(Asked(path, **how), base, tmp_path / "kept", lambda each, pixels: kept.append(pixels))
    assert len(kept) == len(data.train) + len(data.held_out)
    return data


async def test_a_row_is_the_prompt_of_an_engine_and_the_answer_with_its_end(base, draw, write, tmp_path, loader):
    path = write("data.jsonl", row(draw("a.png"), "Not <|im_end|> here."))
    data = await found(base, path, tmp_path)
    (each,) = data.train
    image = await loader.load_path(tmp_path / "a.png", allowed_roots=[tmp_path])
    prompt = base.prompts.build(ChatRequest((Message("user", (image, Text("What is it?"))),)))
    assert each.ids[: each.prompt_tokens].tolist() == prompt.input_ids.tolist()
    ((begin, end),) = each.spans
    tokens = base.prompts.tokenizer
    assert tokens.decode(each.ids[begin : end - 1]) == "Not <|im_end|> here."
    special = tokens.convert_tokens_to_ids("<|im_end|>")
    assert each.ids[end - 1] == special and special not in each.ids[begin : end - 1]


async def test_boxes_of_the_image_become_those_that_the_model_sees(base, draw, write, tmp_path):
    box = '[{"bbox_2d": [30, 30, 90, 110], "label": "square"}]'
    path = write("data.jsonl", row(draw("a.png"), box), row(draw("b.png"), '[{"bbox_2d": [30, 30, 90, 210]}]'))
    data = await found(base, path, tmp_path, held_out=0)
    assert [len(data.train), data.refused] == [1, 1]
    assert "outside of its image (300 x 200 pixels, seen by the model as 308 x 196)" in str(data.problems[0])
    assert data.train[0].row.answer == '[{"bbox_2d": [31, 29, 92, 108], "label": "square"}]'


async def test_boxes_are_those_of_the_newest_image(base, draw, write, tmp_path):
    def asked(name: str = "") -> dict:
        image = [{"type": "image_url", "image_url": {"url": name}}] if name else []
        return {"role": "user", "content": [*image, {"type": "text", "text": "where?"}]}

    def told(box: str) -> dict:
        return {"role": "assistant", "content": f'[{{"bbox_2d": [{box}]}}]'}

    small, large = draw("a.png", size=(280, 280)), draw("b.png", size=(2800, 2800))
    turns = [asked(small), told("10, 10, 90, 90"), asked(large), told("100, 100, 500, 500")]
    turns += [asked(), told("1000, 100, 1500, 500")]
    data = await found(base, write("data.jsonl", {"messages": turns}), tmp_path, held_out=0)
    seen = PixelBounds.of(base.info).seen(2800, 2800)[0] / 2800
    answers = [turn.text for turn in data.train[0].row.turns if turn.role == "assistant"]
    boxes = [json.loads(answer)[0]["bbox_2d"] for answer in answers]
    assert boxes[0] == [10, 10, 90, 90] and seen < 1
    assert boxes[1:] == [[round(each * seen) for each in box] for box in ((100, 100, 500, 500), (1000, 100, 1500, 500))]


@pytest.mark.parametrize(
    ("boxes", "given", "learnt"),
    [
        ("original", "[100, 50, 200, 100]", "[200, 200, 400, 400]"),
        ("processed", "[100, 50, 200, 100]", "[100, 50, 200, 100]"),
        ("thousandths", "[[500, 500], [1000, 250]]", "[[200, 200], [400, 100]]"),
    ],
)
def test_numbers_of_boxes_are_what_they_are_said_to_be(boxes, given, learnt):
    key = "point_2d" if "[[" in given else "bbox_2d"
    text = '{"label": "a [1, 2, 3, 4]", "%s": %s}'
    assert converted(text % (key, given), boxes, (200, 100), (400, 400)) == text % (key, learnt)
    assert outside(text % (key, given), boxes, (200, 100), (400, 400)) == []


def test_boxes_that_cannot_be_are_found():
    for bad in ("[5, 5, 5, 9]", "[1, 2, 3]", "[0, 0, 500, 9]", "[9, 9, 1, 1]"):
        assert outside(f'{{"bbox_2d": {bad}}}', "original", (200, 100), (400, 400))


async def test_repetitions_contradictions_and_leaks_are_told(base, draw, write, tmp_path):
    draw("a.png"), draw("b.png", "blue", 90)
    PIL.Image.open(tmp_path / "a.png").resize((450, 300)).save(tmp_path / "near.jpg")
    path = write(
        "data.jsonl",
        row("a.png", "A square."),
        row("a.png", "A square."),
        row("a.png", "A circle."),
        row("b.png", "Blue.", split="train"),
        row("b.png", "Blue?", "And now?", split="test"),
        row("near.jpg", "Red.", split="test"),
    )
    data = await found(base, path, tmp_path)
    said = told(data, Asked(path), base)
    assert "data.jsonl:2: repeats data.jsonl:1" in said
    assert "data.jsonl:3: contradicts data.jsonl:1" in said and "another answer, 'A square.'" in said
    assert "data.jsonl:5: is held out, and data.jsonl:4 learns the same image." in said
    assert "data.jsonl:6: is held out, and" in said and "looks the same" in said
    assert "6 lines: 4 to learn, 2 held out, 0 refused" in said


async def test_rows_of_one_image_stay_on_one_side_in_every_run(base, draw, write, tmp_path):
    names = [draw(f"{at}.png", at=at) for at in range(5, 85, 10)]
    path = write("data.jsonl", *(row(name, "x", question) for name in names for question in ("One?", "Two?")))
    data, again = [await found(base, path, tmp_path, held_out=0.25) for _ in range(2)]
    assert len(data.held_out) == 4 and len(data.train) == 12
    assert not {e.images[0].digest for e in data.held_out} & {e.images[0].digest for e in data.train}
    assert [e.row.where for e in data.held_out] == [e.row.where for e in again.held_out]


async def test_a_file_named_train_alone_leaves_it_open_what_is_held_out(base, draw, write, tmp_path):
    names = [draw(f"{at}.png", at=at) for at in range(5, 85, 10)]
    data = await found(base, write("train.jsonl", *(row(name, "x", "One?") for name in names)), tmp_path)
    assert (len(data.held_out), len(data.train)) == (1, 7)


async def test_what_is_no_image_is_a_problem_of_its_line(base, write, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image at all")
    data = await found(base, write("data.jsonl", row("a.png", "x")), tmp_path)
    assert data.refused == 1 and "the image a.png is refused" in str(data.problems[0])


def test_a_perceptual_hash_stays_when_an_image_is_scaled_and_not_when_it_is_another():
    random = np.random.default_rng(1)
    images = [PIL.Image.fromarray(random.integers(0, 255, (9, 9, 3), np.uint8)).resize((300, 200)) for _ in range(8)]
    for image in images:
        assert (perceptual_hash(image) ^ perceptual_hash(image.resize((420, 280)))).bit_count() <= 4
    assert min((perceptual_hash(a) ^ perceptual_hash(b)).bit_count() for a in images for b in images if a is not b) > 8
