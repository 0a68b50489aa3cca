"""What of the hub is on this machine already."""

from pathlib import Path

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.hub.listing import WANTED


def cached_folder(model_id: str, revision: str | None) -> Path | None:
    """The hub's cache of a model, if every file is in it; None also for what can be no hub id. Asks nobody."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = huggingface_hub.snapshot_download(
            model_id, revision=revision, local_files_only=True, allow_patterns=list(WANTED)
        )
        Checkpoint.of(Path(folder))
    except (HFValidationError, LocalEntryNotFoundError, FileNotFoundError, ModelLoadError):
        return None
    return Path(folder)
