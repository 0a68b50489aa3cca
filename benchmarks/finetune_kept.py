"""What a model knew before an adapter and still knows: the tasks of `training.evaluate` with short answers, in pairs.

The base's answers are kept in a file, as tokens, and asked for once. With the adapter an answer is read again in one
pass: where each of its tokens is still the likeliest the model would say the same, and only other answers are generated
anew. The stock library and peft's own way of loading an adapter are used, nothing of this program.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

# Of the evaluation's tasks, those with short answers; all kinds of images but clips.
TASKS = (
    "shapes: list",
    "shapes: colour",
    "shapes: place",
    "shapes: relations",
    "shapes: yes / no",
    "count up to 6",
    "pictograms: name",
    "box of one thing",
    "point to a thing",
    "printed words",
    "receipts: total, price, items",
    "charts: value",
    "charts: highest, lowest",
    "photographs: honest refusal",
)
MAX_NEW_TOKENS = 260


def evaluated(adapter: Path) -> Any:
    """`training.evaluate`'s model in the stock library, with the adapter in peft's own way of loading it."""
    import torch

    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    from peft import PeftModel

    from qwen_demo.models.choose import EMBEDDED_DIR
    from training.evaluate import Model

    torch.set_num_threads(1)
    model = Model(EMBEDDED_DIR)
    model.model = PeftModel.from_pretrained(model.model, adapter).eval()
    return model


def kept(adapter: Path, limit: int, answers: Path) -> dict[str, Any]:
    """Scores of each task before and after, and their mean with the standard error of what was lost.

    Args:
        limit: questions a task.
        answers: a file for the base's own.
    """
    from training import questions as held_out

    model = evaluated(adapter)
    known = json.loads(answers.read_text()) if answers.exists() else {}
    assets, photos = held_out.load_assets(), held_out.sample_photos()
    rows: dict[str, Any] = {}
    lost: list[float] = []
    for task in (task for task in held_out.TASKS if task.name in TASKS):
        asked = held_out.questions(task, limit, assets, photos)
        before = known.setdefault(task.name, [])
        pairs = []
        for number, question in enumerate(asked):
            inputs = model.inputs([(question.messages(), question.sample.pictures)])
            if number == len(before):
                with model.model.disable_adapter():
                    before.append(_said(model, inputs))
            after = before[number] if would_say(model, inputs, before[number]) else _said(model, inputs)
            pairs.append((_score(model, question, before[number]), _score(model, question, after)))
        answers.write_text(json.dumps(known))
        old, new = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
        lost += [one - other for one, other in pairs]
        rows[task.name] = {"before": old, "after": new, "changed": sum(one != other for one, other in pairs)}
        print(f"{task.name}: {rows[task.name]}", file=sys.stderr, flush=True)
    return {"questions_a_task": limit, "tasks": rows, **_mean(rows, lost)}


def _mean(rows: dict[str, Any], lost: list[float]) -> dict[str, Any]:
    """Every task counts the same, as each has as many questions."""
    mean = {name: sum(row[name] for row in rows.values()) / len(rows) for name in ("before", "after")}
    middle = sum(lost) / len(lost)
    error = math.sqrt(sum((each - middle) ** 2 for each in lost) / len(lost) / len(lost))
    found = {"mean": mean, "lost": mean["before"] - mean["after"], "standard_error": error}
    print(f"{len(lost)} questions of {len(rows)} tasks: {found}", file=sys.stderr)
    return found


def _said(model: Any, inputs: Any) -> list[int]:
    """The tokens of an answer, with the one that ends it."""
    import torch

    with torch.inference_mode():
        made = model.model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
    return made[0, inputs["input_ids"].shape[1] :].tolist()


def would_say(model: Any, inputs: Any, said: list[int]) -> bool:
    """Whether each token of `said` is the likeliest after those before it: whether that is the answer at temperature 0."""
    import torch

    length, more = inputs["input_ids"].shape[1], torch.tensor([said[:-1]], dtype=torch.long)
    whole = dict(inputs) | {"input_ids": torch.cat([inputs["input_ids"], more], 1)}
    whole["attention_mask"] = torch.ones_like(whole["input_ids"])
    if "mm_token_type_ids" in whole:
        whole["mm_token_type_ids"] = torch.cat([whole["mm_token_type_ids"], torch.zeros_like(more)], 1)
    with torch.inference_mode():
        logits = model.model(**whole, logits_to_keep=torch.arange(length - 1, length - 1 + len(said))).logits[0]
    return logits.argmax(-1).tolist() == said


def _score(model: Any, question: Any, said: list[int]) -> float:
    """From 0 to 1: an exact match, or the share of boxes with an overlap over a half."""
    from training.evaluate import judge

    score = judge(question, model.processor.batch_decode([said], skip_special_tokens=True)[0])
    overlaps = score.get("overlaps")
    return sum(each > 0.5 for each in overlaps) / len(overlaps) if overlaps else float(score["exact"])
