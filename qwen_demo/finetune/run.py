"""`finetune`: data -> adapter, with everything said on the way, and a report at the end. Goes on where it was cut off."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from qwen_demo.errors import InvalidRequest, ModelLoadError
from qwen_demo.finetune import beside, data, judging, recipe, remembering, report, settling, training, watching
from qwen_demo.finetune.base import Base, trainable
from qwen_demo.finetune.batches import Features, PixelStore
from qwen_demo.finetune.encoding import Encoded
from qwen_demo.models import adapters
from qwen_demo.models.choose import is_small
from qwen_demo.settings import launched_place

Tell = watching.Tell
ASKED_AT_MOST = 200  # held-out rows that are answered for the report
ORDER, ROWS = "order.json", "rows.sha256"
_Read = tuple[data.Gathered, list[Encoded]]  # and questions that the base answers itself


@dataclass(frozen=True, slots=True)
class Order:
    """
    Attributes:
        out: the adapter's folder, which must not be there yet.
        given: fields of `Recipe` that were chosen.
        plan_only: measure and say what it would take, and teach nothing.
        remember: answers of the base itself that it is held to.
        own_images: that it is asked about for them, beside those of the data.
    """

    asked: data.Asked
    out: Path
    given: dict[str, Any] = field(default_factory=dict)
    plan_only: bool = False
    remember: int = remembering.ANSWERS
    own_images: tuple[Path, ...] = ()

    @property
    def work(self) -> Path:
        """What is needed until the adapter is there."""
        return self.out.with_name(self.out.name + ".unfinished")


async def finetune(order: Order, base: Base, tell: Tell) -> dict[str, Any]:
    """Gives what `report.json` holds; of a plan, an empty one.

    Raises:
        InvalidRequest: nothing can be learnt from the data, or the folder is there.
        ModelLoadError, OutOfMemory: as their messages say.
    """
    first = is_first()
    if order.out.exists():
        raise InvalidRequest(f"{order.out} is there already. Name another folder with --out, or remove it.")
    begun = order.work.exists()
    _same_order(order, base)
    try:
        return await _read_and_taught(order, base, tell if first else lambda line: None)
    finally:
        # Whoever has seen a plan may well choose otherwise.
        if order.plan_only and first and not begun:
            shutil.rmtree(order.work)


async def _read_and_taught(order: Order, base: Base, tell: Tell) -> dict[str, Any]:
    store = PixelStore(order.work / "images", base.prompts)
    found = await data.gathered(order.asked, base, order.work / "kept", store.keep)
    tell(data.told(found, order.asked, base))
    if not found.train:
        raise InvalidRequest("There is no row to learn from; what is wrong with each is said above.")
    _same_rows(order, found)
    known = await remembering.questions(found.train, order.own_images, order.remember, base, store)
    with beside.bounded(base.settings):
        return _taught(order, base, (found, known), store, tell)


def is_first() -> bool:
    """Whether this process speaks for all that share the work."""
    return launched_place()[0] == 0


def _taught(order: Order, base: Base, read: _Read, store: PixelStore, tell: Tell) -> dict[str, Any]:
    found, known = read
    small = is_small(base.folder)
    chosen = recipe.recipe_for(found, order.given, small=small, processes=launched_place()[2])
    _place_device()
    frozen = trainable(base, tell)
    beside.give_way(frozen, base.settings)
    model = training.with_adapter(frozen, chosen)
    weights = training.taught_weights(model)
    features = None if chosen.vision else Features(model.get_base_model(), store)
    model.eval()
    summary = recipe.told(chosen, len(found.train), sum(int(np.prod(shape)) for shape in weights.values()))
    tell(summary)
    memory = _memory(model, known, store, features, base, chosen)
    if memory:
        tell(f"It is held to {len(memory.known)} answers of the base itself, so that it keeps what it knew.")
    if chosen.checkpointing:
        model.enable_input_require_grads()
    model.train()
    cost = training.measured(model, found.train, chosen, store, features, memory)
    tell(cost.told(-(-len(found.train) // chosen.batch) * chosen.epochs))
    if order.plan_only:
        return {}
    result = training.train(model, (found.train, found.held_out), chosen, store, features, tell, memory)
    if not is_first():
        return {}
    model.eval()
    share = settling.settle(model, found.held_out[:ASKED_AT_MOST], chosen.micro_batch, store, features)
    if share < 1:
        tell(f"{share:.0%} of what was learnt answers the held-out part as well as all of it, and is what is kept.")
    facts = {
        "base": base.name,
        "revision": base.choice.revision,
        "fingerprint": base.fingerprint,
        "told": summary,
        "max_pixels": base.info.max_pixels,
        "min_pixels": base.info.min_pixels,
        "boxes": order.asked.boxes,
        "rows": len(found.train),
        "remembered": len(memory.known) if memory else 0,
        "share": share,
        "update_s": round(cost.update_s, 3),
        "memory_gib": round(cost.memory_bytes / recipe.GIB, 2),
        "recipe": asdict(chosen),
        **result,
    }
    tell(f"Answering {min(len(found.held_out), ASKED_AT_MOST)} held-out questions, before and after.")
    cases = compared(model, found.held_out[:ASKED_AT_MOST], store, features, base.prompts)
    if cases:
        facts |= {"before": judging.summary([c[1] for c in cases]), "after": judging.summary([c[2] for c in cases])}
    _write(order, base, model, weights, facts, cases, store)
    tell(gained(facts))
    return facts


def _memory(model: Any, rows: list[Encoded], store: Any, features: Any, base: Base, chosen: recipe.Recipe) -> Any:
    """What it is held to; None where the base has said nothing."""
    known = remembering.answered(model, rows, store, features, base)
    return remembering.Memory.of(model, known, store, features, chosen.seed) if known else None


def compared(model: Any, rows: Sequence[Encoded], store: PixelStore, features: Any, prompts: Any) -> list[report.Case]:
    """Each row answered without and with the adapter."""
    with model.disable_adapter():
        before = judging.answers(model, rows, store, features, prompts)
    after = judging.answers(model, rows, store, features, prompts)
    return [
        (row, judging.judged(row.row.answer, old), judging.judged(row.row.answer, new))
        for row, old, new in zip(rows, before, after, strict=True)
    ]


def gained(facts: dict[str, Any]) -> str:
    if "after" not in facts:
        return "No row was held out: nothing is known of what it gained."
    lines = [
        f"{name}: {facts['before'][key]:.3f} before, {facts['after'][key]:.3f} after"
        for key, name in report.NAMES.items()
        if facts["after"][key] is not None
    ]
    said = f"{facts['after']['rows']} held-out rows; " + "; ".join(lines) + "."
    return f"{said} {report.WORSE}" if report.is_worse(facts) else said


def _write(order: Order, base: Base, model: Any, weights: Any, facts: Any, cases: Any, store: PixelStore) -> None:
    """The adapter's folder at once, whole; then what it was made with goes."""
    made = order.work / "made"
    shutil.rmtree(made, ignore_errors=True)
    config = model.peft_config["default"]
    config.base_model_name_or_path, config.revision = base.name, base.choice.revision
    model.save_pretrained(made, safe_serialization=True, save_embedding_layers=False)
    said = {"model": base.name, "revision": base.choice.revision, "fingerprint": base.fingerprint}
    (made / adapters.BASE).write_text(json.dumps(said, indent=1) + "\n")
    (made / "report.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    worst = report.worst(cases)
    page = report.html(facts, worst, [_image_of(case[0], store) for case in worst])
    (made / "report.html").write_text(page, encoding="utf-8")
    (made / "README.md").write_text(report.card(facts, order.out.name), encoding="utf-8")
    check_whole(made, weights)
    for path in made.iterdir():
        watching.to_disk(path)
    os.rename(made, order.out)
    shutil.rmtree(order.work)


def check_whole(folder: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
    """What was saved has exactly the keys and shapes that were learnt. Raises `ModelLoadError`."""
    saved = adapters.look(folder)
    found = {
        key: shape for name, keys in saved.keys.items() for key, shape in zip(keys, saved.shapes[name], strict=True)
    }
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or extra or found != dict(expected):
        first = (missing + extra or [name for name in found if found[name] != expected[name]])[0]
        raise ModelLoadError(f"{folder}: {len(missing)} keys are missing and {len(extra)} are too many, {first} first.")


def _image_of(row: Encoded, store: PixelStore) -> PIL.Image.Image | None:
    """The first image as the model sees it."""
    pixels = store.pixels(row.images[0]) if row.images else None
    return PIL.Image.fromarray(pixels) if pixels is not None else None


def _same_order(order: Order, base: Base) -> None:
    """A working folder goes on with what it was begun with, or not at all; one in which nothing was learnt, as after a
    plan, begins anew."""
    asked = {key: str(value) for key, value in asdict(order.asked).items()}
    said = {
        "base": base.fingerprint,
        "pixels": [base.info.min_pixels, base.info.max_pixels],
        "asked": asked,
        "remember": order.remember,
        "given": {key: value for key, value in sorted(order.given.items()) if value is not None},
    }
    path = order.work / ORDER
    if path.exists() and json.loads(path.read_text()) != said:
        # Several processes come here at once: what one has written anew is not to be removed by another.
        if launched_place()[2] > 1 or any((order.work / training.CHECKPOINTS).glob("*")):
            raise InvalidRequest(
                f"{order.work} is of a run with other data, base or settings. Give the same to go on, or remove the "
                "folder."
            )
        shutil.rmtree(order.work)
    order.work.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(said))
    os.replace(partial, path)


def _same_rows(order: Order, found: data.Gathered) -> None:
    """Checkpoints go on with the rows that they learnt: of others, some that were learnt would be held out."""
    made = hashlib.sha256()
    for rows in (found.train, found.held_out):
        for row in rows:
            made.update(row.ids.tobytes() + repr((row.spans, row.images)).encode())
        made.update(b"held out")
    path = order.work / ROWS
    begun = any((order.work / training.CHECKPOINTS).glob("*"))
    if begun and path.exists() and path.read_text() != made.hexdigest():
        raise InvalidRequest(
            f"The data has changed since the run in {order.work} began. Bring back what it was to go on, or remove the "
            "folder."
        )
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(made.hexdigest())
    os.replace(partial, path)


def _place_device() -> None:
    """Of several processes each has a GPU of its own."""
    _, local, count = launched_place()
    if torch.cuda.is_available() and count > 1:
        torch.cuda.set_device(local)
