"""transformers' processor of a checkpoint: tokenizer, chat template, preparation of images and frames."""

from pathlib import Path
from typing import Any


def load_processor(folder: Path) -> Any:
    """A `Qwen2_5_VLProcessor`."""
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder, trust_remote_code=False)
