"""What the base says itself: asked before the first update, and held to in each."""

import pytest
import torch

from qwen_demo.finetune.base import trainable
from qwen_demo.finetune.batches import Features
from qwen_demo.finetune.data import Gathered
from qwen_demo.finetune.recipe import recipe_for
from qwen_demo.finetune.remembering import LIKELIEST, Memory, answered, questions


@pytest.fixture
async def memory(base, taught):
    from qwen_demo.finetune.training import with_adapter  # once the base has made its libraries importable

    rows, store = taught
    model = with_adapter(trainable(base), recipe_for(Gathered(train=rows), {"rank": 4}, small=True)).eval()
    features = Features(model.get_base_model(), store)
    asked = await questions(rows, [rows[0].row.images[0].path], 4, base, store)
    known = answered(model, asked, store, features, base)
    assert len(asked) == 4 and 0 < len(known) <= 4
    return model, Memory.of(model, known, store, features, seed=1)


def test_an_answer_that_has_moved_costs_until_it_is_back(memory):
    model, held = memory
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


def test_each_answer_has_its_turn(memory, monkeypatch):
    model, held = memory
    asked = []
    monkeypatch.setattr(held, "_logprobs", lambda model, rows: asked.extend(rows) or torch.cat(
        [torch.zeros(end - begin, 3072) for row in rows for begin, end in row.spans]))  # fmt: skip
    for turn in range(len(held.known)):
        held.drift(model, turn, 1)
    assert {id(row) for row in asked} == {id(each.row) for each in held.known}
