"""The chain that makes the embedded model, in tiny sizes: data, tokenizer, training steps, export, stock loading, evaluation."""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import metrics, on_cpu, questions
from training.assets import Assets
from training.dense import SLOTS, empty_labels, label_cells
from training.encode import Encoder
from training.evaluate import Model, judge, summary
from training.export import write_checksums
from training.forward import PackedForward
from training.model import ROPE_THETA, Qwen2_5_VLForConditionalGeneration
from training.pack import SMOKE_SHAPE, Packer, Shape
from training.phrases import rules
from training.phrases import test as held_out_phrases
from training.phrases import train as training_phrases
from training.tokenizer import learn, write_processor
from training.tokens import TOKEN_ID
from training.train import run
from training.world.phrasing import BANKS, plain_wording
from training.world.sample import plain, spelled
from training.world.world import MIX, World

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "qwen_demo" / "models" / "embedded"


@pytest.fixture(scope="module")
def assets():
    return Assets(styles=("noto",))


@pytest.fixture(scope="module")
def processor_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processor")
    write_processor(folder, *learn(samples=120))
    return folder


@pytest.fixture(scope="module")
def checkpoint(processor_folder, tmp_path_factory):
    """Two pieces of training: the second goes on from the exact state of the first."""
    out = tmp_path_factory.mktemp("run")
    common = {
        "state": str(out / "state.pt"),
        "limit": 1e9,
        "workers": 0,
        "warm_up": 2,
        "muon_lr": 3e-3,
        "adam_lr": 2e-3,
        "log_every": 1,
        "device": "cpu",
        "eager": True,
        "smoke": True,
    }
    run(
        argparse.Namespace(
            start=str(processor_folder), out=str(out / "1"), progress=(0.0, 0.5), steps=2, seed=1, **common
        ),
        time.time(),
    )
    start = str(out / "1" / "checkpoint")
    run(
        argparse.Namespace(start=start, out=str(out / "2"), progress=(0.5, 1.0), steps=1, seed=2, **common), time.time()
    )
    return out / "2" / "checkpoint"


@pytest.mark.slow
def test_training_writes_a_log_line_a_step_and_goes_on_from_its_state(checkpoint):
    records = [json.loads(line) for line in (checkpoint.parent / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records] == [3]
    assert 0 < records[0]["loss"] < 20


def test_stock_transformers_gives_the_logits_of_the_training_code(checkpoint, assets):
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    mix = {"shapes": 1, "group": 1, "clip": 1, "late": 1}
    drawn = []

    class Remembering(World):
        def sample(self, family=None):
            drawn.append(super().sample(family))
            return drawn[-1]

    packer = Packer(Remembering(5, assets, mix=mix), checkpoint, SMOKE_SHAPE)
    batch = packer.batch()
    forward = PackedForward(model, torch.float32, reference=True)
    with torch.inference_mode():
        hidden, _ = forward.hidden(forward.vision(batch), batch)
        packed = hidden[0] @ model.model.language_model.embed_tokens.weight.T
    processor = Model(checkpoint).processor
    document, compared = batch["document"][0].numpy(), 0
    by_length = {len(e.ids): (s, e) for s, e in ((s, Encoder(checkpoint)(s)) for s in drawn)}
    for number in range(document.max() + 1):
        at = np.flatnonzero(document == number)
        sample, encoded = by_length[len(at)]
        for dialogue in range(1, len(sample.dialogues) + 1):
            chosen = np.flatnonzero((encoded.dialogue == 0) | (encoded.dialogue == dialogue))
            with torch.inference_mode():
                stock = model(**stock_inputs(processor, sample, encoded.ids[chosen])).logits[0]
            assert torch.allclose(stock, packed[at[chosen]], atol=2e-4)
            compared += 1
    assert compared > 1


def test_without_padding_the_loss_and_its_gradient_are_the_same(checkpoint, assets):
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    batch = Packer(
        World(6, assets), checkpoint, Shape(rows=2, length=1024, patches=2560, extra=1600, labels=2048)
    ).batch()
    gradients = []
    for forward in (PackedForward(model, torch.float32, reference=True), on_cpu.SparseForward(model, torch.float32)):
        loss, *_, right = forward(batch)
        loss.backward()
        weight = model.model.language_model.layers[0].mlp.up_proj.weight
        gradients.append((loss.item(), weight.grad.clone(), int(right[: int(batch["stat"][4])].sum())))
        model.zero_grad()
    (loss, gradient, right), (sparse_loss, sparse_gradient, sparse_right) = gradients
    assert sparse_loss == pytest.approx(loss, rel=1e-5) and sparse_right == right
    assert torch.allclose(sparse_gradient, gradient, rtol=1e-3, atol=1e-7) and gradient.abs().max() > 1e-5


@pytest.mark.slow
def test_workers_on_a_cpu_teach_the_language_layers_alone_and_write_their_average(checkpoint, tmp_path):
    out = tmp_path / "out"
    argv = f"--start {checkpoint} --out {out} --steps 6 --rows 1 --rate 0.01 --mix shapes=5,photo=0 --smoke"
    done = subprocess.run(
        [sys.executable, "-m", "training.on_cpu", *argv.split()], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    before, after = (Qwen2_5_VLForConditionalGeneration.from_pretrained(f).state_dict() for f in (checkpoint, out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("model.language_model.") and "embed" not in name for name in changed)
    assert sum(name.endswith("proj.weight") for name in changed) == sum(
        name.endswith("proj.weight") for name in before if name.startswith("model.language_model.layers")
    )


def test_a_family_that_the_world_has_not_is_refused():
    assert on_cpu.mix_of("shapes=75,photo=2.5") == {"shapes": 75.0, "photo": 2.5}
    with pytest.raises(ValueError, match="photos"):
        on_cpu.mix_of("photos=1")


def stock_inputs(processor, sample, ids):
    """What the stock forward takes for these ids and the sample's pictures."""
    ids = torch.tensor(ids, dtype=torch.long)[None]
    kinds = (ids == TOKEN_ID["<|image_pad|>"]).int() + 2 * (ids == TOKEN_ID["<|video_pad|>"]).int()
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": kinds}
    if sample.pictures[0].is_clip:
        frames = [[Image.fromarray(f) for f in p.frames] for p in sample.pictures]
        inputs |= processor.video_processor(videos=frames, return_tensors="pt")
        inputs.pop("video_metadata", None)
        inputs["second_per_grid_ts"] = torch.tensor([p.seconds_per_grid for p in sample.pictures])
    else:
        inputs |= processor.image_processor(
            images=[Image.fromarray(p.frames[0]) for p in sample.pictures], return_tensors="pt"
        )
    return inputs


def test_the_chat_template_writes_the_ids_of_the_training_code(checkpoint, assets):
    encoder, processor = Encoder(checkpoint), Model(checkpoint).processor
    for family in ("shapes", "group", "chat"):
        sample = World(3, assets).sample(family)
        sample.dialogues = [[t for t in sample.dialogues[0] if spelled("")[0] not in t.answer]]
        question = questions.Question(questions.TASKS[0], sample, sample.dialogues[0])
        messages = [*question.messages(), {"role": "assistant", "content": plain(question.turn.answer)}]
        text = processor.apply_chat_template(messages, tokenize=False)
        pictures = [Image.fromarray(p.frames[0]) for p in sample.pictures]
        expected = processor(text=[text], images=pictures or None)["input_ids"][0]
        assert encoder(sample).ids.tolist()[: len(expected)] == list(expected)


def test_evaluation_scores_an_untrained_model_near_zero(checkpoint, monkeypatch):
    monkeypatch.setattr("training.evaluate.MAX_NEW_TOKENS", 8)
    model, held_out = Model(checkpoint), questions.load_assets()
    task = next(t for t in questions.TASKS if t.name == "clips: motion and change")
    asked = questions.questions(task, 2, held_out, [])
    row = summary([judge(q, model.answer(q.messages(), q.sample.pictures)) for q in asked])
    assert row["n"] == 2 and row["exact"] == 0


def test_any_text_survives_the_tokenizer(checkpoint):
    tokenizer = Model(checkpoint).processor.tokenizer
    for text in ("naïve café", "Ελληνικά 한국어 🙂", "a\tb\n\n  c", "图中有三个物体。"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_world_is_the_same_for_the_same_seed(assets):
    first, second = (World(11, assets) for _ in range(2))
    for family in MIX:
        a, b = first.sample(family), second.sample(family)
        assert [[t.answer for t in d] for d in a.dialogues] == [[t.answer for t in d] for d in b.dialogues]
        assert all(np.array_equal(p.frames, q.frames) for p, q in zip(a.pictures, b.pictures, strict=True))


def test_every_family_draws_pictures_that_the_processor_leaves_alone(assets):
    world = World(2, assets, split="test", chinese=0.5)
    for family in MIX:
        for _ in range(6):
            for picture in world.sample(family).pictures:
                _, height, width, _ = picture.frames.shape
                assert height % 28 == width % 28 == 0
                assert picture.is_clip or 224 * 224 <= height * width <= 448 * 448
                assert picture.is_clip == (family == "clip")


def test_answered_boxes_are_the_boxes_that_were_drawn(assets):
    world, seen = World(4, assets), 0
    for _ in range(30):
        sample = world.sample("mixed")
        _, height, width, _ = sample.pictures[0].frames.shape
        for turn in (t for d in sample.dialogues for t in d if t.boxes):
            assert metrics.best_overlaps(turn.boxes, turn.answer) == pytest.approx([1.0] * len(turn.boxes))
            assert all(0 <= b[0] < b[2] <= width and 0 <= b[1] < b[3] <= height for b, _ in turn.boxes)
            seen += 1
    assert seen > 5


def test_held_out_wordings_are_not_among_those_of_training():
    assert held_out_phrases.BANK.keys() == training_phrases.BANK.keys()
    shared = {"photo", "describe"}  # both kinds are asked about any picture
    for kind, (written, framed) in BANKS["train"].items():
        held_out = {t.lower().rstrip("?.!") for t in held_out_phrases.BANK[kind]}
        assert not held_out & {t.lower().rstrip("?.!") for t in (*written, *framed)} or kind in shared, kind


ASKED_TOGETHER = (  # kinds that one picture may be asked, with different answers
    """describe list count_all count_kind exist where what_at color is_color shape_of largest smallest leftmost rightmost
    topmost lowest_object relation side_lr side_ab larger smaller background what_is box boxes point it_where it_color it_box
    read chart_type list_values""",
    """read describe text_color first_line second_line last_line n_lines first_word last_word n_words has_text text_where
    chart_type total price shop n_items dearest exist""",
    "describe_chart highest lowest value list_values chart_type n_parts compare labels which_value title trend",
    "pair_describe pair_compare pair_same nth n_images which_image",
    "triple_describe nth n_images which_image",
    "video_describe motion change video_object",
    "photo read chart_type list_values",
    "zh_describe zh_count zh_count_kind zh_exist zh_where zh_what zh_color zh_side zh_box zh_background",
    "zh_describe zh_highest zh_lowest zh_value zh_chart_type",
)


@pytest.mark.parametrize("kinds", ASKED_TOGETHER, ids=lambda kinds: kinds.split()[0])
def test_no_wording_asks_two_questions(kinds):
    asked = {}
    for kind in kinds.split():
        for template in (t for many in BANKS["train"][kind] for t in many):
            assert asked.setdefault(plain_wording(template), kind) == kind, (template, kind)


def test_rules_choose_nested_parts_and_speak_the_same_every_time():
    assert rules.variants("a (b (c|d)|) ?") == ["a b c?", "a?", "a b d?"]
    whole, framed = rules.expand("zh_what", "! 看(一下|看)图\n这是(什么|啥)？")
    assert whole == ["这是什么？", "这是啥？"] and "请看看图" in framed
    assert rules.expand("where", "> where (it|that) is")[1] == rules.expand("where", "> where (it|that) is")[1]


def test_dense_labels_spell_a_cell_in_reading_order(assets):
    picture = World(1, assets).sample("shapes").pictures[0]
    picture.letters = [(20, 14, "b"), (6, 14, "a"), (34, 14, "c")]
    rows, columns = picture.frames.shape[1] // 28, picture.frames.shape[2] // 28
    labels = empty_labels(rows * columns)
    label_cells(labels, picture, np.arange(rows * columns), rows, columns)
    assert labels["d_chars"][0].tolist() == [ord("a") - 32, ord("b") - 32] + [0] * (SLOTS - 2)
    assert labels["d_chars"][1, 0] == ord("c") - 32


def test_metrics_on_known_cases():
    assert metrics.parse_grounding('```json\n[{"bbox_2d": [1, 2, 3], "label": "x"}]\n```', "bbox_2d") is None
    assert metrics.parse_grounding("no boxes", "bbox_2d") is None
    answer = '```json\n[{"point_2d": [5, 5], "label": "dog"}]\n```'
    assert metrics.points_inside([((0, 0, 9, 9), "dog"), ((0, 0, 9, 9), "cat")], answer) == [True, False]


def test_checksums_name_every_file_that_a_loader_reads(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    write_checksums(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text() == f"{hashlib.sha256(b'{}').hexdigest()}  config.json\n"


def test_the_shipped_checkpoint_is_whole_and_small_enough():
    files = [p for p in EMBEDDED.iterdir() if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 48 * 2**20
    assert all(p.stat().st_size < 16 * 2**20 for p in files)
    sums = dict(reversed(line.split("  ")) for line in (EMBEDDED / "SHA256SUMS").read_text().splitlines())
    assert {p.name for p in files if p.suffix in (".json", ".safetensors", ".txt", ".jinja")} == set(sums)
    for name, expected in sums.items():
        assert hashlib.sha256((EMBEDDED / name).read_bytes()).hexdigest() == expected, name
    assert (
        json.loads((EMBEDDED / "config.json").read_text())["text_config"]["rope_parameters"]["rope_theta"] == ROPE_THETA
    )


def test_the_shipped_checkpoint_answers_about_pictures_drawn_here():
    model = Model(EMBEDDED)
    from training.pictures import draw, right

    samples = draw(seed=1)
    for name in ("shapes", "sign", "two_images", "clip"):
        question = questions.Question(questions.TASKS[0], samples[name], samples[name].dialogues[0][:1])
        assert right(question.turn, model.answer(question.messages(), samples[name].pictures)), name


def test_misspelt_wordings_stay_questions():
    from training.world.phrasing import Speaker

    speaker = Speaker(random.Random(0))
    asked = {speaker.ask("where", name="red star") for _ in range(300)}
    assert len(asked) > 150 and all(4 < len(q) < 120 for q in asked)
