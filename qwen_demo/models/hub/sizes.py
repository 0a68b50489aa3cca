"""How many weights a model has: of published ones by heart, of others from the heads of their files."""

import json
import struct
from pathlib import Path

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.checkpoint import Checkpoint, todays_name
from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.models.hub.cache import cached_folder
from qwen_demo.models.hub.catalog import KNOWN, KnownModel

# The head of a safetensors file says how long it is, in eight bytes, and is JSON.
_LENGTH = struct.Struct("<Q")
MOST_HEAD_BYTES = 100_000_000


def folder_here(model: str) -> Path | None:
    """Where the files of a model lie on this machine, all of them; asks nobody."""
    if model == "embedded":
        return EMBEDDED_DIR
    if (folder := Path(model).expanduser()).is_dir():
        return folder
    return cached_folder(model, None)


def known_sizes(model: str) -> KnownModel | None:
    """Of a published model, or one whose files are here; None of others."""
    if model in KNOWN:
        return KNOWN[model]
    folder = folder_here(model)
    return None if folder is None else sizes_of(model, folder)


def sizes_of(model: str, folder: Path) -> KnownModel | None:
    """From the heads of a checkpoint's files. Quantised ones count as the weights of their bytes in bfloat16."""
    try:
        checkpoint = Checkpoint.of(folder)
        parts = {"layers": 0, "vision": 0, "words": 0}
        for file in checkpoint.files:
            for name, size in _tensor_bytes(file).items():
                parts[_part_of(todays_name(name))] += size
    except (ModelLoadError, OSError, ValueError, KeyError, struct.error):
        return None
    width = 4 if checkpoint.config.get("dtype", checkpoint.config.get("torch_dtype")) == "float32" else 2
    counts = {part: size // width for part, size in parts.items()}
    tied = checkpoint.ties_embeddings
    return KnownModel(model, counts["layers"], counts["vision"], counts["words"] // (1 if tied else 2), tied)


def _part_of(name: str) -> str:
    if ".visual." in f".{name}":
        return "vision"
    return "words" if "embed_tokens" in name or "lm_head" in name else "layers"


def _tensor_bytes(file: Path) -> dict[str, int]:
    with file.open("rb") as opened:
        (length,) = _LENGTH.unpack(opened.read(_LENGTH.size))
        if length > MOST_HEAD_BYTES:
            raise ValueError(f"{file} is no safetensors file")
        head = json.loads(opened.read(length))
    return {
        name: each["data_offsets"][1] - each["data_offsets"][0] for name, each in head.items() if name != "__metadata__"
    }
