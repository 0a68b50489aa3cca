"""What is to be read, and into what: the order that both ways of reading a checkpoint get."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.choose import Choice
from qwen_demo.settings import Settings

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
    """

    choice: Choice
    checkpoint: Checkpoint
    config: Any
    device: str
    dtype: Any
    attention: str
    settings: Settings
    progress: Progress
