"""The least of an adapter that answers as well as all of it is what is kept."""

import pytest
import torch

from qwen_demo.finetune import settling


class Adapter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lora_A = torch.nn.ModuleDict({"default": torch.nn.Linear(1, 1, bias=False)})
        self.lora_B = torch.nn.ModuleDict({"default": torch.nn.Linear(1, 1, bias=False)})
        for half in (self.lora_A, self.lora_B):
            torch.nn.init.ones_(half["default"].weight)

    @property
    def kept(self) -> tuple[float, float]:
        return float(self.lora_A["default"].weight.detach()), float(self.lora_B["default"].weight.detach())


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        (lambda b: (9, 0.001), 0.5),
        (lambda b: (9 if b > 0.65 else 8, 0.001), 0.7),
        (lambda b: (9, 0.001 if b > 0.75 else 0.5), 0.8),
        (lambda b: (9, 1 - b), 1.0),
    ],
    ids=["half of it", "fewer are right", "less sure", "all of it"],
)
def test_the_least_that_is_as_good_is_kept(answers, share, monkeypatch):
    adapter = Adapter()
    monkeypatch.setattr(settling, "_held_out", lambda model, *_: answers(model.q_proj.kept[1]))
    rows = [object()] * settling.FEWEST
    assert settling.settle(Module(adapter), rows, 4, None, None) == share
    assert adapter.kept == pytest.approx((1.0, share))
    assert settling.settle(Module(adapter), rows[1:], 4, None, None) == 1.0


class Module(torch.nn.Module):
    """Names its weights as peft does."""

    def __init__(self, adapter):
        super().__init__()
        self.q_proj = adapter


async def test_rows_that_are_said_exactly_are_counted(base, taught):
    from qwen_demo.finetune.base import trainable
    from qwen_demo.finetune.batches import Features
    from qwen_demo.finetune.data import Gathered
    from qwen_demo.finetune.recipe import recipe_for
    from qwen_demo.finetune.remembering import answered
    from qwen_demo.finetune.training import with_adapter

    rows, store = taught
    model = with_adapter(trainable(base), recipe_for(Gathered(train=rows), {"rank": 4}, small=True)).eval()
    features = Features(model.get_base_model(), store)
    said = answered(model, rows[:1], store, features, base)
    exact, loss = settling._held_out(model, [*said, rows[0]], 2, store, features)
    assert len(said) == 1 and exact == 1 and loss > 0.1
