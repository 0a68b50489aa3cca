"""What the base says itself: asked before the first update, and held to in each."""

from dataclasses import replace

import torch

from qwen_demo.finetune.base import trainable
from qwen_demo.finetune.batches import Features
from qwen_demo.finetune.data import Gathered
from qwen_demo.finetune.recipe import recipe_for
from qwen_demo.finetune.remembering import LIKELIEST, QUESTIONS, Known, Memory, answered, questions
from qwen_demo.finetune.rows import RowTurn


async def test_an_answer_that_has_moved_costs_until_it_is_back(base, taught):
    from qwen_demo.finetune.training import with_adapter  # once the base has made its libraries importable

    rows, store = taught
    model = with_adapter(trainable(base), recipe_for(Gathered(train=rows), {"rank": 4}, small=True)).eval()
    features = Features(model.get_base_model(), store)
    asked = await questions(rows, [rows[0].row.images[0].path], 4, base, store)
    known = answered(model, asked, store, features, base)
    assert len(asked) == 4 and 0 < len(known) <= 4
    held = Memory.of(model, known, store, features, seed=1)
    for each in held.known:
        (begin, end), ids = each.row.spans[0], torch.from_numpy(each.row.ids)
        assert each.words.shape == each.logprobs.shape == (end - begin, LIKELIEST)
        assert torch.equal(each.words[:, 0], ids[begin:end].long())  # it says what it holds likeliest
    assert abs(float(held.drift(model, 0, 2).detach())) < 1e-4
    outward = [weight for name, weight in model.named_parameters() if ".lora_B." in name]
    with torch.no_grad():
        for weight in outward:
            weight.normal_(std=0.2)
    before = held.drift(model, 0, 2)
    before.backward()
    assert float(before.detach()) > 0.01
    updates = torch.optim.SGD(outward, lr=1e-4 / float(max(weight.grad.abs().max() for weight in outward)))
    updates.step()
    assert float(held.drift(model, 0, 2).detach()) < float(before.detach())


async def test_what_the_data_asks_is_not_held_to_the_base(base, taught):
    rows, store = taught
    taught_one = replace(rows[0], row=replace(rows[0].row, turns=(RowTurn("user", ("read  the text",)),)))
    image = rows[0].row.images[0].path
    assert {row.row.question for row in await questions(rows, [image], 100, base, store)} == set(QUESTIONS)
    found = await questions([taught_one, *rows], [image], 100, base, store)
    assert {row.row.question for row in found} == set(QUESTIONS) - {"Read the text."}


def test_each_answer_has_its_turn(monkeypatch):
    known = [Known(row, torch.zeros(2, 3).long(), torch.full((2, 3), -1.2)) for row in "abcde"]
    held, asked = Memory(known, None, None, seed=1), []

    def logprobs(model, rows):
        asked.extend(rows)
        return torch.full((2 * len(rows), 3), -1.2)

    monkeypatch.setattr(held, "_logprobs", logprobs)
    for turn in range(3):
        held.drift(None, turn, 2)
    assert set(asked) == set("abcde") and asked[0] == asked[5]
