"""Models of embeddings in the layout of sentence-transformers (BERT, XLM-RoBERTa and their kin), on the CPU.

What is read: the transformer, one pooling (mean, first or last token), and the prefixes that its files name. Another
layer behind that is refused, as vectors without it would be of another model.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.hub.download import Download
from qwen_demo.models.hub.listing import WANTED, list_files

MOST_TOKENS = 512
AT_ONCE = 16
# The card of E5 asks for them, and its files do not name them.
E5_PREFIXES = {"question": "query: ", "passage": "passage: "}
_PROMPTS = {"question": ("query",), "passage": ("passage", "document")}
_POOLING, _NORMALIZE, _TRANSFORMER = "Pooling", "Normalize", "Transformer"


def folder_of(model: str, revision: str | None, token: str | None) -> Path:
    """The folder with its files: a named one, the hub's cache, or fetched from the hub. Raises `ModelLoadError`."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        cached = Path(
            huggingface_hub.snapshot_download(
                model, revision=revision, local_files_only=True, allow_patterns=list(WANTED)
            )
        )
        if any(cached.glob("*.safetensors")):
            return cached
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise ModelLoadError(f"{model} is neither a folder nor a hub id.") from error
    return Download(list_files(model, revision, token), token).run()


class TextModel:
    """Texts -> rows of float32.

    Args:
        name: of the model; where its files name no prefixes, E5's own are known by it.
        threads: 0 leaves it to PyTorch.
        prefixes: by kind; None is what its files say.

    Raises:
        ModelLoadError: files are missing, or there is a layer that is not known here.
    """

    def __init__(self, folder: Path, name: str, *, threads: int, prefixes: Mapping[str, str | None]):
        self._pooling = _pooling_of(folder)
        own = _prefixes_of(folder, name)
        self._prefixes = {kind: own[kind] if given is None else given for kind, given in prefixes.items()}
        import torch

        from qwen_demo.models import torchvision_shim

        torchvision_shim.install()
        from transformers import AutoModel, AutoTokenizer

        if threads:
            torch.set_num_threads(threads)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self._model = AutoModel.from_pretrained(folder, trust_remote_code=False, dtype=torch.float32).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ModelLoadError(f"{name} cannot be loaded as a model of embeddings: {error}") from error
        longest = getattr(self._model.config, "max_position_embeddings", MOST_TOKENS)
        # XLM-RoBERTa counts positions from 2.
        self._most_tokens = min(MOST_TOKENS, longest - 2)

    def embed(self, texts: Sequence[str], kind: str) -> np.ndarray:
        """`kind`: `question` or `passage`."""
        import torch

        rows = []
        with torch.inference_mode():
            for at in range(0, len(texts), AT_ONCE):
                given = [self._prefixes[kind] + text for text in texts[at : at + AT_ONCE]]
                tokens = self._tokenizer(
                    given, padding=True, truncation=True, max_length=self._most_tokens, return_tensors="pt"
                )
                hidden = self._model(**tokens).last_hidden_state
                rows.append(_pooled(hidden, tokens["attention_mask"], self._pooling).numpy())
        return np.concatenate(rows)


def _pooled(hidden: Any, mask: Any, pooling: str) -> Any:
    """(texts, tokens, width) -> (texts, width); padding counts for nothing, on whichever side it is."""
    if pooling == "mean":
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)
    numbers = mask.cumsum(1)
    place = (numbers == 1).int().argmax(1) if pooling == "cls" else numbers.argmax(1)
    return hidden[range(len(hidden)), place]


def _pooling_of(folder: Path) -> str:
    modules = _read(folder / "modules.json") or []
    pooling = "mean"
    for module in modules:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == _POOLING:
            pooling = _named_pooling(_read(folder / module["path"] / "config.json") or {})
        elif kind not in (_TRANSFORMER, _NORMALIZE):
            raise ModelLoadError(f"This model of embeddings ends in a layer {kind}, which is not read here.")
    return pooling


def _named_pooling(config: Mapping[str, Any]) -> str:
    names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
    asked = [names.get(key, key) for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    asked = asked or [{"lasttoken": "last"}.get(mode, mode) for mode in [config.get("pooling_mode", "mean")]]
    if len(asked) != 1 or asked[0] not in names.values():
        raise ModelLoadError(f"This model of embeddings pools by {', '.join(asked)}, which is not done here.")
    return asked[0]


def _prefixes_of(folder: Path, name: str) -> dict[str, str]:
    prompts = (_read(folder / "config_sentence_transformers.json") or {}).get("prompts") or {}
    found = {kind: next((prompts[key] for key in keys if prompts.get(key)), "") for kind, keys in _PROMPTS.items()}
    if not any(found.values()) and "e5-" in name.lower():
        return dict(E5_PREFIXES)
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelLoadError(f"{path.name} of this model of embeddings is damaged: {error}") from error
