"""How near answers are to the expected ones: exact match, character errors, overlap of boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwen_demo.answers.detections import find
from qwen_demo.answers.likeness import edit_distance, overlap
from qwen_demo.finetune.encoding import Encoded

MAX_CHARACTERS = 4000  # beyond which edit distance costs seconds


@dataclass(frozen=True, slots=True)
class Judged:
    """
    Attributes:
        errors: edit distance in characters over the expected length.
        iou: mean overlap of the expected boxes with the best answered box of the same label; None without boxes.
    """

    expected: str
    answer: str
    exact: bool
    errors: float
    iou: float | None

    @property
    def badness(self) -> float:
        return (1 - self.iou if self.iou is not None else min(1.0, self.errors)) + (not self.exact)


def judged(expected: str, answer: str) -> Judged:
    same = " ".join(expected.split()) == " ".join(answer.split())
    errors = 0.0 if same else edit_distance(expected[:MAX_CHARACTERS], answer[:MAX_CHARACTERS]) / max(1, len(expected))
    return Judged(expected, answer, same, errors, _iou(expected, answer))


def summary(found: Sequence[Judged]) -> dict[str, Any]:
    boxes = [each.iou for each in found if each.iou is not None]
    count = max(1, len(found))
    return {
        "rows": len(found),
        "exact": round(sum(each.exact for each in found) / count, 4),
        "character_errors": round(sum(each.errors for each in found) / count, 4),
        "box_iou": round(sum(boxes) / len(boxes), 4) if boxes else None,
    }


def _iou(expected: str, answer: str) -> float | None:
    wanted = [each for each in find(expected) if each.is_box]
    if not wanted:
        return None
    given = [each for each in find(answer) if each.is_box]
    best = [
        max((overlap(box.coordinates, other.coordinates) for other in given if other.label == box.label), default=0.0)
        for box in wanted
    ]
    # Boxes too many count as none that fits.
    return sum(best) / max(len(wanted), len(given))


def answers(
    model: Any, rows: Sequence[Encoded], store: Any, features: Any, prompts: Any, *, most: int | None = None
) -> list[str]:
    """What `model` (a `PeftModel`) says at temperature 0, one row after the other.

    Args:
        most: tokens of an answer; by default twice those of the expected one, and some.
    """
    found = (answer_ids(model, row, store, features, most) for row in rows)
    return [prompts.tokenizer.decode(ids, skip_special_tokens=True) for ids in found]


def answer_ids(model: Any, row: Encoded, store: Any, features: Any, most: int | None = None) -> list[int]:
    """The tokens of one answer, without the one that ends it."""
    import torch
    from transformers import DynamicCache

    from qwen_demo.finetune.batches import Collator, model_inputs

    core = model.get_base_model()
    device = core.get_input_embeddings().weight.device
    batch = Collator(packed=False)([row])
    cut = row.prompt_tokens
    batch = {name: each.to(device) if hasattr(each, "to") else each for name, each in batch.items()}
    batch |= {"input_ids": batch["input_ids"][:, :cut], "positions": batch["positions"][..., :cut]}
    batch["attention_mask"] = batch["attention_mask"][:, :cut]
    ends = core.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends]) | {int(row.ids[row.spans[-1][1] - 1])}
    expected = len(row.ids) - cut
    most = most or max(expected + 16, min(512, 2 * expected + 16))
    cache = DynamicCache(config=core.config.text_config)
    ids: list[int] = []
    with torch.inference_mode():
        inputs = model_inputs(batch, core, store, features)
        inputs |= {"use_cache": True, "past_key_values": cache, "logits_to_keep": 1}
        position = int(inputs["position_ids"][1:].max()) + 1
        while len(ids) < most:
            token = int(core(**inputs).logits[0, -1].argmax())
            if token in ends:
                break
            ids.append(token)
            at = torch.full((4, 1, 1), position, device=device)
            at[0] = cut + len(ids) - 1
            inputs = {
                "input_ids": torch.tensor([[token]], device=device),
                "position_ids": at,
                "use_cache": True,
                "past_key_values": cache,
                "logits_to_keep": 1,
            }
            position += 1
    return ids
