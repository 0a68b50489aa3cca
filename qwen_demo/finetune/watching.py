"""What goes on beside a run: whole checkpoints, a line of progress now and then, and its end once nothing is left to learn."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from transformers import EarlyStoppingCallback, TrainerCallback

from qwen_demo.finetune.recipe import Recipe

MARK = "complete"
SAVED_EVERY_S = 600.0
BETTER_BY = 0.005  # of the held-out loss, in nats a token: less is no gain
LEARNT = 0.02  # the same: below it nothing is left to learn, and every update more costs what was known
PROGRESS_EVERY_S = 5.0
Tell = Callable[[str], None]


def callbacks(recipe: Recipe, watched: bool, tell: Tell) -> list[TrainerCallback]:
    made: list[TrainerCallback] = [_Marks(), _Tells(tell), _Learnt()]
    if watched and recipe.patience:
        made.append(EarlyStoppingCallback(recipe.patience, BETTER_BY))
    return made


class _Marks(TrainerCallback):
    """Saves every few minutes of a long epoch, and marks a checkpoint once all of it is on the disk."""

    def __init__(self) -> None:
        self._saved_at = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        if args.eval_strategy == "no" and time.monotonic() - self._saved_at > SAVED_EVERY_S:
            control.should_save = True
        return control

    def on_save(self, args, state, control, **kwargs):
        self._saved_at = time.monotonic()
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for path in [*folder.rglob("*")]:
            if path.is_file():
                to_disk(path)
        (folder / MARK).touch()
        to_disk(folder / MARK)


class _Learnt(TrainerCallback):
    """Ends a run that has nothing left to learn."""

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if (metrics or {}).get("eval_loss", LEARNT) < LEARNT:
            control.should_training_stop = True
        return control


class _Tells(TrainerCallback):
    """A line with loss and time left, every few seconds."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._began = self._told = 0.0
        self._first = 0
        self._loss: float | None = None
        self._held_out: float | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        self._began, self._first = time.monotonic(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs):
        self._loss = (logs or {}).get("loss", self._loss)

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self._held_out = (metrics or {}).get("eval_loss", self._held_out)

    def on_step_end(self, args, state, control, **kwargs):
        now = time.monotonic()
        if now - self._told < PROGRESS_EVERY_S or not state.is_world_process_zero:
            return
        self._told = now
        each = (now - self._began) / max(1, state.global_step - self._first)
        left = duration(each * (state.max_steps - state.global_step))
        known = {"loss": self._loss, "held out": self._held_out}
        losses = "".join(f"{name} {loss:.3f}, " for name, loss in known.items() if loss is not None)
        self._tell(
            f"update {state.global_step}/{state.max_steps}, epoch {state.epoch:.1f}, {losses}"
            f"{each:.2f} s an update, {left} left at most"
        )


def to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.2 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
