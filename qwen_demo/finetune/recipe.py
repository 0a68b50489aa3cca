"""How a model is taught, by the size of the data, of the model and of the memory. Plain arithmetic; every value can be given."""

from dataclasses import dataclass, replace
from typing import Any

from qwen_demo.errors import SettingsError
from qwen_demo.finetune.batches import wasted
from qwen_demo.finetune.data import Gathered

MAX_RANK = 64  # what is served beside others
GIB = 1 << 30
WORTH_PACKING = 0.2  # share of filling from which on rows are packed
HELD_TO = 2  # rows that are learnt for one answer of the base's own that is held to in the same update
# Every linear layer of the language model's layers, and with the vision encoder those of its blocks and of the merger.
LANGUAGE = r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
VISION = r"model\.visual\.(blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(gate|up|down)_proj)|merger\.mlp\.[02])"


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    Attributes:
        batch: rows of one update, over all devices.
        micro_batch: rows that a device takes at once.
        packed: rows of a micro-batch stand behind each other instead of being filled to the longest.
        patience: epochs without a better held-out loss after which it ends; 0 never does.
        checkpointing: activations are computed again in the backward pass instead of being kept.
    """

    rank: int
    alpha: int
    dropout: float
    learning_rate: float
    epochs: int
    batch: int
    micro_batch: int
    packed: bool
    patience: int
    checkpointing: bool
    vision: bool
    seed: int = 1

    @property
    def remembered(self) -> int:
        """Answers of the base's own that are held to, beside each micro-batch."""
        return max(1, self.micro_batch // HELD_TO)

    @property
    def targets(self) -> str:
        """A regular expression over names of modules."""
        return f"({LANGUAGE}|{VISION})" if self.vision else LANGUAGE


def recipe_for(found: Gathered, given: dict[str, Any], *, small: bool, processes: int = 1) -> Recipe:
    """
    Args:
        given: fields of `Recipe` that somebody chose; None is as good as not there.
        small: a model of the embedded one's kind.
        processes: devices that share a batch.

    Raises:
        SettingsError: a value that cannot work.
    """
    rows = max(1, len(found.train))
    longest = max(found.lengths or [1])
    chosen = {key: value for key, value in given.items() if value is not None}
    rank = chosen.get("rank", 16)
    batch = min(chosen.get("batch", 8 if rows <= 1000 else 16), rows)
    share = max(1, batch // processes)
    most = min(max(1, (4096 if small else 2048) // longest), share)
    # A part that divides the batch: of 5 at once, 8 would be 5.
    micro = chosen.get("micro_batch", next(count for count in range(most, 0, -1) if share % count == 0))
    made = {
        "rank": rank,
        "alpha": 2 * rank,
        "dropout": 0.05,
        "learning_rate": 5e-4 if small else 2e-4,
        # About 1,200 rows are seen, each at least twice and at most 20 times.
        "epochs": min(20, max(2, round(1200 / rows))),
        "batch": batch,
        "micro_batch": micro,
        "packed": micro > 1 and wasted(found.train, micro) > WORTH_PACKING,
        "patience": 3,
        "checkpointing": not small,
        "vision": False,
    }
    recipe = Recipe(**{**made, **chosen, "batch": batch, "micro_batch": micro})
    if not 1 <= recipe.rank <= MAX_RANK:
        raise SettingsError(f"--rank {recipe.rank}: from 1 to {MAX_RANK}.")
    for name in ("epochs", "batch", "micro_batch"):
        if getattr(recipe, name) < 1:
            raise SettingsError(f"--{name.replace('_', '-')} has to be 1 or more.")
    together = recipe.micro_batch * processes
    return replace(recipe, batch=together * max(1, recipe.batch // together))


def told(recipe: Recipe, rows: int, parameters: int) -> str:
    """For people, before it begins."""
    updates = -(-rows // recipe.batch) * recipe.epochs
    ways = [
        f"rank {recipe.rank}",
        f"learning rate {recipe.learning_rate:g}",
        f"{recipe.batch} rows an update ({recipe.micro_batch} at once, {'packed' if recipe.packed else 'side by side'})",
        "activations computed twice" if recipe.checkpointing else "activations kept",
        "vision encoder taught too" if recipe.vision else "vision encoder frozen, its features computed once",
    ]
    return f"{rows} rows, {recipe.epochs} epochs, {updates} updates of {parameters:,} weights: {', '.join(ways)}."
