"""What is to be read, and into what: the order that both ways of reading a checkpoint get."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.choose import Choice
from qwen_demo.settings import Settings

if TYPE_CHECKING:
    from qwen_demo.models.merging import Merging

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ReadingOrder:
    """One model to read.

    Attributes:
        choice: which, and how quantised.
        checkpoint: the folder that it is in.
        config: transformers' configuration of it.
        device: `cuda:0`, `mps` or `cpu`.
        dtype: computed with (`torch.dtype`).
        attention: transformers' name of an implementation.
        progress: gets sentences for people.
        merging: an adapter that is merged into the weights.
    """

    choice: Choice
    checkpoint: Checkpoint
    config: Any
    device: str
    dtype: Any
    attention: str
    settings: Settings
    progress: Progress
    merging: "Merging | None" = None
