"""Training beside a server on one card or machine: within its part of the memory, and in pauses of the server's."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from qwen_demo.engines.batching.memory_plan import GIB, cap_allocator
from qwen_demo.engines.memory_errors import memory_errors
from qwen_demo.engines.right_of_way import RightOfWay
from qwen_demo.errors import OutOfMemory
from qwen_demo.settings import Settings


@contextmanager
def bounded(settings: Settings) -> Iterator[None]:
    """Allocators refuse what goes over `--memory-limit-gib`, for the rest of this process.

    Raises:
        OutOfMemory: in the place of any device's own error, whether there is a limit or not.
    """
    limit_gib = settings.memory_limit_gib
    if limit_gib and torch.cuda.is_available():
        cap_allocator(limit_gib)
    elif limit_gib:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit_gib * GIB), hard))
    try:
        with memory_errors():
            yield
    except torch.OutOfMemoryError as error:
        bound = f"--memory-limit-gib {limit_gib:g} allows" if limit_gib else "is free"
        raise OutOfMemory(
            f"Training needs more memory than {bound}. Give --micro-batch 1, --checkpointing, or smaller images with "
            "--max-pixels."
        ) from error


def give_way(model: Any, settings: Settings) -> None:
    """Before each pass over words or images, pause for the work since the last one while a server's questions wait.

    Args:
        model: `Qwen2_5_VLForConditionalGeneration`.
    """
    if settings.give_way_file is None:
        return
    pace = RightOfWay.of(settings).paced()
    for network in (model.model.visual, model.model.language_model):
        network.register_forward_pre_hook(lambda *_: pace.next())
