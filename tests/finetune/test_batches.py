"""Packed or side by side, from features or from patches: the loss is the same."""

import re

import numpy as np
import pytest
import torch

from qwen_demo.finetune.base import trainable
from qwen_demo.finetune.batches import Collator, Features, loss_of, model_inputs, wasted
from qwen_demo.finetune.data import Gathered
from qwen_demo.finetune.judging import answers
from qwen_demo.finetune.recipe import recipe_for
from qwen_demo.models import machine
from qwen_demo.types import ChatRequest, Message, Sampling, Text, collect


class WithoutAdapter:
    def __init__(self, model):
        self.get_base_model = lambda: model


async def test_every_way_gives_the_same_loss(model, taught):
    rows, store = taught
    features = Features(model, store)
    losses = []
    with torch.no_grad():
        for packed in (False, True):
            for source in (None, features):
                batch = Collator(packed)(rows)
                learnt = (batch["labels"] >= 0).sum()
                assert learnt == sum(end - begin for row in rows for begin, end in row.spans)
                losses.append(float(loss_of(model, model_inputs(batch, model, store, source), batch["labels"], learnt)))
        alone = [Collator(False)([row]) for row in rows]
        total = sum(float(loss_of(model, model_inputs(b, model, store, None), b["labels"], 1)) for b in alone)
    losses.append(total / float(learnt))
    assert np.ptp(losses) < 1e-4 * losses[0], losses


async def test_features_are_read_from_the_disk_when_they_are_needed_again(model, taught):
    rows, store = taught
    placed = rows[0].images[0]
    first = Features(model, store).of(placed)
    store.path(placed).unlink()
    assert torch.equal(Features(model, store).of(placed), first)


async def test_what_is_asked_for_the_report_is_what_an_engine_answers(base, model, taught, loader, tmp_path, loaded):
    from qwen_demo.engines.generate import GenerateEngine
    from qwen_demo.settings import Settings

    rows, store = taught
    engine = GenerateEngine(Settings(model="embedded", max_running=1), loader=lambda *_: loaded)
    await engine.start()
    image = await loader.load_path(tmp_path / "a.png", allowed_roots=[tmp_path])
    request = ChatRequest((Message("user", (image, Text("What is it?"))),), Sampling(max_new_tokens=24))
    (said,) = answers(WithoutAdapter(model), rows[:1], store, Features(model, store), base.prompts)
    assert said and (await collect(engine.stream(request))).text.startswith(said[:40])
    await engine.close()


async def test_filling_is_counted(taught):
    rows, _ = taught
    lengths = sorted(len(row.ids) for row in rows)
    assert wasted(rows, 3) == pytest.approx(1 - sum(lengths) / (3 * lengths[-1]))
    assert wasted(rows, 1) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
async def test_an_adapter_in_float32_learns_on_a_base_of_either_dtype(base, taught, dtype, monkeypatch):
    from qwen_demo.finetune.training import with_adapter  # once the base has made its libraries importable

    monkeypatch.setattr(machine, "dtype_for", lambda device, *, small: dtype)
    rows, store = taught
    recipe = recipe_for(Gathered(train=rows), {"rank": 4, "dropout": 0.0}, small=True)
    model = with_adapter(trainable(base), recipe)
    core = model.get_base_model()
    weights = [each for each in model.parameters() if each.requires_grad]
    assert core.dtype == dtype and {each.dtype for each in weights} == {torch.float32}
    Features(core, store).of(rows[0].images[0])
    features = Features(core, store)  # from the disk, in the dtype that they were kept in
    assert features.of(rows[0].images[0]).dtype == dtype
    updates, losses = torch.optim.AdamW(weights, lr=5e-3), []
    for _ in range(3):
        batch = Collator(False)(rows)
        loss = loss_of(model, model_inputs(batch, core, store, features), batch["labels"], 1)
        loss.backward()
        updates.step()
        updates.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[2] < losses[1] < losses[0]


def test_every_linear_layer_is_taught_and_nothing_else(model):
    linear = {name for name, each in model.named_modules() if isinstance(each, torch.nn.Linear) and name != "lm_head"}
    given = {"rank": 4, "vision": True}
    targets = recipe_for(Gathered(), given, small=True).targets
    assert {name for name, _ in model.named_modules() if re.fullmatch(targets, name)} == linear
