"""The model that is taught: which it is, what makes its prompts, and its weights in a form that gradients pass through."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import machine
from qwen_demo.models.adapters import fingerprint
from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.choose import Choice, choose, is_small
from qwen_demo.models.load import threads_for
from qwen_demo.models.prompt import PromptBuilder
from qwen_demo.service.logs import ADVERTISING
from qwen_demo.settings import Settings
from qwen_demo.types import ModelInfo

Progress = Callable[[str], None]
MAX_PIXELS = 1280 * 28 * 28  # of an image where nothing is said: memory of training goes by it


@dataclass(frozen=True, slots=True)
class Base:
    """
    Attributes:
        fingerprint: SHA-256 (hex) over the configuration and over heads and ends of the weights' files: another
            model, or other weights of it, have another one.
        prompts: as the engines make them, so that what is learnt is what will be asked.
    """

    choice: Choice
    folder: Path
    fingerprint: str
    prompts: PromptBuilder
    info: ModelInfo
    settings: Settings

    @property
    def name(self) -> str:
        return self.choice.model_id


def described(settings: Settings, progress: Progress = lambda stage: None) -> Base:
    """Everything but the weights. Raises `ModelLoadError`."""
    from qwen_demo.models import torchvision_shim

    logging.getLogger(ADVERTISING).setLevel(logging.ERROR)
    torchvision_shim.install()
    from qwen_demo.models.hub.fetch import folder_of
    from qwen_demo.models.processor import load_processor

    choice = choose(settings)
    if settings.merge_adapter:
        raise ModelLoadError(
            f"An adapter is learnt on the weights of a folder. Merge first (qwen-demo finetune merge {settings.merge_adapter} "
            f"--base {choice.model_id} --out FOLDER), and give that folder as --base."
        )
    folder = folder_of(choice, settings, progress)
    checkpoint = Checkpoint.of(folder)
    processor = load_processor(folder)
    most = settings.max_pixels or min(processor.image_processor.size["longest_edge"], MAX_PIXELS)
    info = ModelInfo(
        model_id=choice.model_id,
        revision=choice.revision,
        context_tokens=checkpoint.context_tokens,
        min_pixels=min(settings.min_pixels or processor.image_processor.size["shortest_edge"], most),
        max_pixels=most,
        patch_pixels=processor.image_processor.patch_size * processor.image_processor.merge_size,
        embedded=choice.embedded,
    )
    prompts = PromptBuilder(processor, None, info)
    return Base(choice, folder, fingerprint(folder), prompts, info, settings)


def trainable(base: Base, progress: Progress = lambda stage: None) -> Any:
    """`Qwen2_5_VLForConditionalGeneration`, frozen: NF4 on a CUDA GPU where four bits are usual, else in full."""
    import torch
    from transformers import AutoConfig

    from qwen_demo.models.by_transformers import read
    from qwen_demo.models.reading import ReadingOrder

    device = machine.device()
    choice = base.choice
    if threads := threads_for(base.settings, device, embedded=choice.embedded):
        torch.set_num_threads(threads)
    if not device.startswith("cuda"):
        choice = Choice(choice.source, choice.model_id, choice.revision, "none", choice.reason, choice.embedded)
    dtype = machine.dtype_for(device, small=is_small(base.folder))
    config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False)
    checkpoint = Checkpoint.of(base.folder)
    model, _ = read(ReadingOrder(choice, checkpoint, config, device, dtype, "sdpa", base.settings, progress))
    model.requires_grad_(False)
    return model
