"""One training run: transformers' Trainer over peft's low-rank layers, which goes on where it was cut off.

Checkpoints lie in a working folder beside the adapter; one counts only with a mark that is written after it, so that a
power cut in the middle of writing costs that one alone. The adapter's folder appears whole, by one rename.
"""

import json
import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from qwen_demo.errors import ModelLoadError, OutOfMemory
from qwen_demo.finetune.batches import Collator, Features, PixelStore, loss_of, model_inputs
from qwen_demo.finetune.encoding import Encoded
from qwen_demo.finetune.recipe import GIB, Recipe
from qwen_demo.finetune.remembering import Memory
from qwen_demo.finetune.watching import MARK, Tell, callbacks, duration
from qwen_demo.settings import launched_place

CHECKPOINTS = "checkpoints"  # beside the images of a run


def with_adapter(model: Any, recipe: Recipe) -> Any:
    """`PeftModel` around `model`, its low-rank weights in float32. Raises `ModelLoadError` where peft is missing."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ModelLoadError("Fine-tuning needs peft: pip install '.[finetune]' in the repository.") from error
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=recipe.targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(recipe.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about each other
        return get_peft_model(model, config)


def taught_weights(model: Any) -> dict[str, tuple[int, ...]]:
    """Names, as peft saves them, and shapes of what is learnt."""
    named = ((name.replace(".default.", "."), each) for name, each in model.named_parameters() if each.requires_grad)
    return {name: tuple(each.shape) for name, each in named}


class AdapterTrainer(Trainer):
    """Computes the loss of learnt tokens alone, from features while the vision encoder is frozen.

    Args:
        memory: what is held to in each update, `remembered` answers for each of its parts; None for nothing.
    """

    def __init__(
        self,
        *args: Any,
        store: PixelStore,
        features: Features | None,
        memory: Memory | None,
        remembered: int,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self._store, self._features, self._memory, self._remembered = store, features, memory, remembered
        self._part = 0
        self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        core = self.accelerator.unwrap_model(model).get_base_model()
        labels = inputs["labels"]
        count = num_items_in_batch if num_items_in_batch is not None else (labels[:, 1:] >= 0).sum()
        loss = loss_of(model, model_inputs(inputs, core, self._store, self._features), labels, count)
        if num_items_in_batch is not None and self.args.world_size > 1:
            loss = loss * self.args.world_size  # gradients are averaged over devices
        if self._memory and model.training:
            parts = self.args.gradient_accumulation_steps
            turn = (
                self.state.global_step * parts + self._part % parts
            ) * self.args.world_size + self.args.process_index
            self._part += 1
            loss = loss + self._memory.drift(model, turn, self._remembered) / parts
        return (loss, {}) if return_outputs else loss


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one update, measured before the first: seconds, and the most memory that was taken, in bytes (0 on a CPU)."""

    update_s: float
    memory_bytes: int

    def told(self, updates: int) -> str:
        memory = f", {self.memory_bytes / GIB:.1f} GiB of GPU memory" if self.memory_bytes else ""
        return f"An update takes {self.update_s:.2f} s{memory}: about {duration(self.update_s * updates)} in all."


def measured(
    model: Any,
    rows: Sequence[Encoded],
    recipe: Recipe,
    store: PixelStore,
    features: Features | None,
    memory: Memory | None = None,
) -> Cost:
    """Of the longest rows, so that what is said is the most. Weights stay as they are.

    Raises:
        OutOfMemory: with what would need less.
    """
    longest = sorted(rows, key=lambda row: -len(row.ids))[: recipe.micro_batch]
    core = model.get_base_model()
    device = core.get_input_embeddings().weight.device
    cuda = device.type == "cuda"
    batch = Collator(recipe.packed)(longest)
    batch = {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
    state = torch.get_rng_state()
    seconds = 0.0
    try:
        for _ in range(2):  # the first warms up, and encodes images
            began = time.perf_counter()
            loss = loss_of(model, model_inputs(batch, core, store, features), batch["labels"], 1)
            if memory:
                loss = loss + memory.drift(model, 0, recipe.remembered)
            loss.backward()
            if cuda:
                torch.cuda.synchronize()
            seconds = time.perf_counter() - began
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"{recipe.micro_batch} rows of {len(longest[0].ids)} tokens at once need more GPU memory than is free. Give "
            "--micro-batch 1, or smaller images with --max-pixels."
        ) from error
    model.zero_grad(set_to_none=True)
    torch.set_rng_state(state)
    taken = torch.cuda.max_memory_allocated() if cuda else 0
    together = recipe.micro_batch * launched_place()[2]
    return Cost(seconds * -(-min(recipe.batch, len(rows)) // together), taken)


def train(
    model: Any,
    parts: tuple[Sequence[Encoded], Sequence[Encoded]],
    recipe: Recipe,
    store: PixelStore,
    features: Features | None,
    tell: Tell,
    memory: Memory | None = None,
) -> dict[str, Any]:
    """Learn `parts[0]`, watch `parts[1]`; the model ends with the weights that did best there.

    Gives:
        updates, epochs, seconds (of this run), losses at the end.
    """
    learnt, held_out = parts
    folder = store.folder.parent / CHECKPOINTS
    trainer = AdapterTrainer(
        model=model,
        args=_arguments(folder, recipe, bool(held_out)),
        data_collator=Collator(recipe.packed),
        train_dataset=list(learnt),
        eval_dataset=list(held_out) or None,
        callbacks=callbacks(recipe, bool(held_out), tell),
        store=store,
        features=features,
        memory=memory,
        remembered=recipe.remembered,
    )
    for shown in ("PrinterCallback", "ProgressCallback"):
        for callback in [c for c in trainer.callback_handler.callbacks if type(c).__name__ == shown]:
            trainer.remove_callback(callback)
    begun = last_complete(folder)
    if begun:
        tell(f"Going on from update {begun.name.rpartition('-')[2]}.")
        if had_ended(begun):
            trainer.args.max_steps = int(begun.name.rpartition("-")[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about each other
        result = trainer.train(resume_from_checkpoint=str(begun) if begun else None)
    state = trainer.state
    made = state.global_step - (int(begun.name.rpartition("-")[2]) if begun else 0)
    losses = [each["loss"] for each in state.log_history if "loss" in each]
    held = [each["eval_loss"] for each in state.log_history if "eval_loss" in each]
    return {
        "updates": state.global_step,
        "epochs": round(state.epoch or 0, 2),
        "seconds": round(result.metrics["train_runtime"], 1),
        "updates_of_this_run": made,
        "updates_per_s": round(made / max(result.metrics["train_runtime"], 0.001), 3),
        "loss": round(result.training_loss if made or not losses else losses[-1], 4),
        "held_out_loss": round(min(held), 4) if held else None,
    }


def last_complete(folder: Path) -> Path | None:
    """The newest checkpoint that was written whole; others are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in found:
        if not (path / MARK).exists():
            shutil.rmtree(path, ignore_errors=True)
    whole = [path for path in found if path.exists()]
    return whole[-1] if whole else None


def had_ended(checkpoint: Path) -> bool:
    """Whether the run had no more to learn, and was cut off before its adapter was written."""
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    return bool(state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"])


def _arguments(folder: Path, recipe: Recipe, watched: bool) -> TrainingArguments:
    processes = launched_place()[2]
    accumulated = max(1, recipe.batch // (recipe.micro_batch * processes))
    return TrainingArguments(
        output_dir=str(folder),
        use_cpu=not torch.cuda.is_available(),
        per_device_train_batch_size=recipe.micro_batch,
        per_device_eval_batch_size=recipe.micro_batch,
        gradient_accumulation_steps=accumulated,
        activation_checkpointing=recipe.checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if recipe.checkpointing else None,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        weight_decay=0.0,
        max_grad_norm=1.0,
        eval_strategy="epoch" if watched else "no",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=watched,
        restore_callback_states_from_checkpoint=True,  # epochs without a gain
        metric_for_best_model="eval_loss" if watched else None,
        greater_is_better=False if watched else None,
        prediction_loss_only=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        seed=recipe.seed,
        data_seed=recipe.seed,
        ddp_find_unused_parameters=False,
    )
