"""How much of what was learnt is kept: the least with which the held-out part is answered as well as with all of it.

The further an adapter moves its base, the more it costs of what the base knew; and the way from a base to what was
learnt is mostly one of diminishing returns (Wortsman and others, Robust fine-tuning of zero-shot models, 2022).
"""

from collections.abc import Sequence
from typing import Any

import torch

from qwen_demo.finetune.batches import NOT_LEARNT, Collator, Features, PixelStore, model_inputs
from qwen_demo.finetune.encoding import Encoded

SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
WORSE_BY = 0.01  # of the held-out loss, in nats a token: what is as good
FEWEST = 5  # held-out rows, with fewer of which nothing is known


def settle(
    model: Any, rows: Sequence[Encoded], micro_batch: int, store: PixelStore, features: Features | None
) -> float:
    """Scale the adapter of `model`, a `PeftModel`, in its place; gives the share that was kept."""
    if len(rows) < FEWEST:
        return 1.0
    whole = _held_out(model, rows, micro_batch, store, features)
    for share in SHARES:
        _scale(model, share)
        exact, loss = _held_out(model, rows, micro_batch, store, features)
        if exact >= whole[0] and loss <= whole[1] + WORSE_BY:
            return share
        _scale(model, 1 / share)
    return 1.0


@torch.no_grad()
def _scale(model: Any, factor: float) -> None:
    for name, weight in model.named_parameters():
        if ".lora_B." in name:
            weight.mul_(factor)


@torch.no_grad()
def _held_out(model: Any, rows: Sequence[Encoded], size: int, store: Any, features: Any) -> tuple[int, float]:
    """How many rows' learnt words all come first, and the loss in nats a token."""
    core = model.get_base_model()
    device = core.get_input_embeddings().weight.device
    exact, loss, tokens = 0, 0.0, 0
    for at in range(0, len(rows), size):
        batch = Collator(packed=False)(rows[at : at + size])
        batch = {name: each.to(device) if hasattr(each, "to") else each for name, each in batch.items()}
        learnt = batch["labels"][:, 1:] != NOT_LEARNT
        columns = learnt.any(0).nonzero()[:, 0]
        logits = model(**model_inputs(batch, core, store, features), logits_to_keep=columns).logits.float()
        targets = batch["labels"][:, 1:][:, columns]
        right = (logits.argmax(-1) == targets) | (targets == NOT_LEARNT)
        exact += int(right.all(-1).sum())
        loss += float(torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=NOT_LEARNT, reduction="sum"
        ))  # fmt: skip
        tokens += int(learnt.sum())
    return exact, loss / max(1, tokens)
