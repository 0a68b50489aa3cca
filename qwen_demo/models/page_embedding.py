"""Models that find pages by how they look (ColQwen2.5 and its kin): many vectors for a page, many for a question.

Late interaction is Khattab and Zaharia, 2020; over page images Faysse et al., 2024. The model is transformers' own
`ColQwen2ForRetrieval`, whose vision-language part may be a Qwen2-VL or a Qwen2.5-VL.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from qwen_demo.errors import ModelLoadError

TYPE = "colqwen2"


class PageModel:
    """On the GPU where there is one.

    Raises:
        ModelLoadError: it is another kind of model, or files are missing.
    """

    def __init__(self, folder: Path, name: str, *, threads: int):
        _check_kind(folder, name)
        import torch

        from qwen_demo.models import machine, torchvision_shim

        torchvision_shim.install()
        from transformers import ColQwen2ForRetrieval, ColQwen2Processor

        if threads:
            torch.set_num_threads(threads)
        self._device = machine.device()
        dtype = torch.float32 if self._device == "cpu" else torch.bfloat16
        try:
            model: Any = ColQwen2ForRetrieval.from_pretrained(folder, trust_remote_code=False, dtype=dtype)
            self._processor = ColQwen2Processor.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise ModelLoadError(f"{name} cannot be loaded as a model of page images: {error}") from error
        self._model = model.to(self._device).eval()

    def page(self, image: bytes) -> np.ndarray:
        """(tokens, width) float32, rows of length one. `image`: a JPEG of our own."""
        import PIL.Image

        return self._rows(self._processor(images=[PIL.Image.open(io.BytesIO(image)).convert("RGB")]))

    def question(self, text: str) -> np.ndarray:
        """The same of a question."""
        return self._rows(self._processor(text=[text], return_tensors="pt"))

    def _rows(self, inputs: dict) -> np.ndarray:
        import torch

        with torch.inference_mode():
            given = {name: value.to(self._device) for name, value in inputs.items()}
            rows = self._model(**given).embeddings[0][given["attention_mask"][0].bool()]
        return rows.float().cpu().numpy()


def _check_kind(folder: Path, name: str) -> None:
    """Before anything is imported that takes seconds."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{name} cannot be loaded as a model of page images: {error}") from error
    if kind != TYPE:
        raise ModelLoadError(f"{name} is a {kind}; pages are found by their looks with a {TYPE}.")
