"""Images as people send them: what is readable, what is held out, how answers are judged, how doubt is calibrated."""

import json
import random

import pytest

from qwen_demo.types import ModelInfo
from qwen_demo.ui.doubt import doubt as page_doubt
from training import everyday as rows
from training.assets import Assets
from training.doubt import Doubt, choose, halves
from training.metrics import best_overlaps
from training.phrases import everyday as phrases
from training.world import chat, everyday, made_up, odd, plots, screens
from training.world.made_up import MadeUp
from training.world.sample import Turn, plain
from training.world.sheets import READABLE_X_PX, TOO_SMALL_X_PX, UNKNOWN, Field, Seen, Sheet
from training.world.world import World

MAKERS = {maker.__name__: maker for kinds in everyday.KINDS.values() for maker in kinds} | {
    maker.__name__: maker for maker in everyday.UNSEEN.values()
}


@pytest.fixture(scope="module")
def assets():
    return Assets(styles=("noto",), photos="none")


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_what_is_to_be_answered_about_an_image_counts_as_useful_or_honest(assets, name):
    for split in ("train", "test"):
        world = World(7, assets, split=split)
        for _ in range(3):
            picture, seen = MAKERS[name](world)
            _, height, width, _ = picture.frames.shape
            assert height % 28 == width % 28 == 0 and 224 * 224 <= height * width <= 448 * 448
            assert all(-9 < x < width + 9 and -9 < y < height + 9 for x, y, _ in picture.letters)
            for turn in everyday.turns_about(world, seen, picture):
                if turn.seen:
                    expected = "useful" if turn.wanted or turn.boxes else "honest"
                    told = turn.kind in ("what", "describe") and rows.refuses(turn, plain(turn.answer))
                    nothing = turn.kind == "json" and not any(json.loads(turn.wanted).values())
                    assert rows.verdict(turn, plain(turn.answer)) == ("honest" if told else expected) or nothing, turn


def test_charts_and_pairs_are_asked_what_can_be_read(assets):
    for split in ("train", "test"):
        world = World(8, assets, split=split)
        for _ in range(12):
            _, turns = everyday.plot_sample(world)
            assert all(rows.verdict(t, plain(t.answer)) in ("useful", "honest") for t in turns)
            pictures, turns = everyday.pair_sample(world)
            assert len(pictures) > 1 and turns
            assert all(best_overlaps(t.boxes, t.answer) == pytest.approx([1.0]) for t in turns if t.boxes)


@pytest.mark.parametrize("maker", odd.KINDS, ids=lambda maker: maker.__name__)
def test_what_has_no_name_is_told_apart_in_one_sentence_and_never_taken_for_what_is_held_out(assets, maker):
    world = World(9, assets, chinese=0.0)
    _, seen = maker(world)
    assert (
        seen.noun in (UNKNOWN, "a diagram", "a chart", "a table", "a page of text")
        and maker not in everyday.UNSEEN.values()
    )
    turns = odd.turns_of(world, seen, None)
    if seen.noun == UNKNOWN:
        said = {t.answer for t in turns if t.kind != "json"}
        beside = {chat.NO_CHART} if seen.kind == "photo" else set()
        assert said - beside == {chat.PHOTO if beside else f"I see {UNKNOWN} and cannot tell more about it."}
        assert not any(value for t in turns if t.kind == "json" for value in json.loads(t.answer).values())
    assert turns and all(rows.verdict(t, t.answer) in ("useful", "honest") for t in turns)


@pytest.mark.parametrize("scale", [1, 1.5, 2])
def test_text_is_readable_by_the_height_of_its_x_in_the_pixels_that_the_model_gets(assets, scale):
    sheet = Sheet(World(1, assets))
    sheet.scale = scale
    sheet.body = "DejaVuSans.ttf"
    small, large = sheet.text((9, 9), "small print", 8), sheet.text((9, 40), "large print", 20)
    assert small.too_small and not small.readable and small.x_px == pytest.approx(8 * 0.55, abs=1)
    assert large.readable and not large.too_small and large.x_px == pytest.approx(20 * 0.55, abs=1)
    assert TOO_SMALL_X_PX < READABLE_X_PX


def test_evaluation_draws_with_looks_names_and_wordings_that_training_lacks():
    trained = {maker for kinds in everyday.KINDS.values() for maker in kinds}
    assert len(everyday.UNSEEN) >= 6 and not trained & set(everyday.UNSEEN.values())
    assert {row.maker for row in rows.ROWS if row.never}.isdisjoint(trained)
    for kind, wordings in phrases.BANKS["train"].items():
        assert not set(wordings) & set(phrases.BANKS["test"][kind]), kind
    for field, names in phrases.FIELDS_TEST.items():
        shared = set(names.split("|")) & set(phrases.FIELDS[field].split("|"))
        assert not shared or field == "first command", field
    assert not set(phrases.FRAMES) & set(phrases.FRAMES_TEST)
    invented = MadeUp(random.Random(4), "train")
    assert not {invented.name() for _ in range(2000)} & {*made_up.FIRST_TEST, *made_up.LAST_TEST}
    for ours, others in (
        (made_up.FIRST, made_up.FIRST_TEST),
        (made_up.LAST, made_up.LAST_TEST),
        (made_up.TOPICS, made_up.TOPICS_TEST),
        (screens.BUTTONS, screens.BUTTONS_TEST),
    ):
        assert not set(ours) & set(others)
    assert all(look not in plots.LOOKS.values() for look in plots.LOOKS_TEST.values())


LETTER = Seen(
    "letter", "a letter", ("a page of text",), [Field("date", "3 May 2021", 9), Field("title", "Press Release", 9)]
)


@pytest.mark.parametrize(
    ("kind", "wanted", "answer", "verdict"),
    [
        ("field", "3 May 2021", "The date is 3 May 2021.", "useful"),
        ("field", "3 May 2021", "3  may 2021", "useful"),
        ("field", "3 May 2021", "The date is 8 May 2021.", "wrong"),
        ("field", "3 May 2021", "I see a letter, but its text is too small for me.", "honest"),
        ("field", "3 May 2021", "I see a page of text, but its text is too small for me.", "honest"),
        ("field", "3 May 2021", "I see a pie chart, but its text is too small for me.", "wrong"),
        ("small", None, "I see a letter, but its text is too small for me.", "honest"),
        ("small", None, "The date is 3 May 2021.", "wrong"),
        ("field", "3 May 2021", "I see a picture that I do not know and cannot tell more about it.", "honest"),
        ("small", None, "There is no text in the image.", "wrong"),
        ("what", "a letter", "This is a letter.", "useful"),
        ("what", "a letter", "This is a web page.", "wrong"),
        ("describe", "a letter", 'The image shows a letter with the title "Press Release".', "useful"),
        ("describe", "a letter", 'The image shows a letter with the title "Gas Bill".', "wrong"),
        ("json", '{"date": "3 May 2021", "total": null}', '{"date": "3 May 2021", "total": null}', "useful"),
        ("json", '{"date": "3 May 2021", "total": null}', '{"date": null, "total": null}', "honest"),
        ("json", '{"date": "3 May 2021", "total": null}', '{"date": "3 May 2021", "total": "9"}', "wrong"),
        ("json", '{"date": "3 May 2021", "total": null}', "The date is 3 May 2021.", "wrong"),
        ("value", "The value of Oslo is 4.", "The value of Oslo is 4.", "useful"),
        ("value", "The value of Oslo is 4.", "The value of Oslo is 40.", "wrong"),
    ],
)
def test_an_answer_is_useful_honest_or_wrong(kind, wanted, answer, verdict):
    turn = Turn("?", wanted or "I see a letter, but its text is too small for me.", kind, wanted=wanted, seen=LETTER)
    assert rows.verdict(turn, answer) == verdict


def answers(count, wrong, seed, least=0.9):
    """Right answers are sure but for their least token; wrong ones are not."""
    rng = random.Random(seed)
    right = [{"mean": 0.9 + 0.1 * rng.random(), "least": rng.random(), "wrong": False} for _ in range(count - wrong)]
    lost = [{"mean": 0.2 + 0.6 * rng.random(), "least": least * rng.random(), "wrong": True} for _ in range(wrong)]
    return [answer | {"answer": "It is."} for answer in right + lost]


def boxes(found, lost):
    told = [(mean, False) for mean in found] + [(mean, True) for mean in lost]
    return [{"mean": mean, "least": 0.1, "wrong": wrong, "answer": '[{"bbox_2d": [1]}]'} for mean, wrong in told]


def test_doubt_is_chosen_so_that_few_wrong_answers_go_unmarked_and_few_right_ones_are_marked(tmp_path):
    found = {name: answers(60, 20, seed) for seed, name in enumerate(["a", "b", "never drawn: c", "never drawn: d"])}
    ours, others = halves(found)
    assert set(ours) == {"a", "never drawn: c"} and set(others) == {"b", "never drawn: d"}
    doubt = choose(ours | {"boxes": boxes([0.7, 0.75, 0.7], [0.3, 0.4, 0.5])}, aim=0.05)
    assert 0.5 < doubt.places_unsure_below <= 0.7
    assert [len(side["p"]) for side in halves({"p": boxes([0.7, 0.8], [0.3, 0.4])})] == [2, 2]
    assert [doubt.is_sure(a) for a in boxes([0.7], [0.5])] == [True, False]
    assert doubt.measure == "mean" and 0.6 < doubt.unsure_below < 0.9
    scores = doubt.scores([a for rest in others.values() for a in rest])
    assert scores["undoubted"] <= 0.08 and scores["right_doubted"] == 0 and scores["precision"] == 1
    doubt.write(tmp_path)
    assert Doubt.of(tmp_path) == doubt
    model = ModelInfo(str(tmp_path))
    assert (page_doubt.threshold(model), page_doubt.measure(model)) == (doubt.unsure_below, "mean")
    assert Doubt.of(tmp_path / "none") == Doubt(page_doubt.UNSURE_BELOW, page_doubt.MEASURES[0])


def test_a_row_counts_the_wrong_answers_that_nothing_marks():
    told = [("useful", True), ("honest", False), ("wrong", True), ("wrong", False)]
    row = rows.summary([{"verdict": verdict, "sure": sure} for verdict, sure in told])
    assert row == {"n": 4, "useful": 0.25, "honest": 0.25, "wrong": 0.5, "undoubted": 0.25}
    assert "| letters | 4 | 0.25 | 0.25 | 0.50 | 0.25 |" in rows.table({"letters": row})
