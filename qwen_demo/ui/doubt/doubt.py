"""The mark at an answer that the model was unsure of, by the probabilities of its own tokens.

The measure is the geometric mean of the probabilities that the model gave to the tokens of its answer. Below the
model's threshold the answer is marked. A model brings its threshold in the file `doubt.json` of its folder,
`{"unsure_below": 0.6}`, as calibrated on images held out for that; others get `UNSURE_BELOW`.
"""

import json
import math
from functools import lru_cache
from pathlib import Path

from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.types import ModelInfo, TextDelta
from qwen_demo.ui import render
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words

# Of a model without a threshold of its own: on average each token was no likelier than that.
UNSURE_BELOW = 0.5
FILE = "doubt.json"
_MARK = "unsure"


class Surety:
    """How sure the model was of the answer so far."""

    def __init__(self) -> None:
        self._sum, self._tokens = 0.0, 0

    def add(self, delta: TextDelta) -> None:
        self._sum += sum(token.logprob for token in delta.logprobs)
        self._tokens += len(delta.logprobs)

    @property
    def mean(self) -> float | None:
        """Geometric mean of the probabilities, from 0 to 1; None where the engine told none."""
        return math.exp(self._sum / self._tokens) if self._tokens else None

    def is_low(self, model: ModelInfo) -> bool:
        return self.mean is not None and self.mean < threshold(model)


def threshold(model: ModelInfo) -> float:
    """Of this model, from 0 (never marked) to 1."""
    return _threshold_of(EMBEDDED_DIR if model.embedded else Path(model.model_id))


@lru_cache(maxsize=16)
def _threshold_of(folder: Path) -> float:
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))["unsure_below"]
    except (OSError, ValueError, KeyError, TypeError):
        return UNSURE_BELOW
    return float(found) if isinstance(found, int | float) and 0 <= found <= 1 else UNSURE_BELOW


def mark(words: Words = texts) -> render.Message:
    """The note under such an answer."""
    note = render.note(f'<span class="unsure">{words.UNSURE}</span>')
    note["metadata"]["id"] = _MARK
    return note


def is_mark(message: render.Message) -> bool:
    return (message.get("metadata") or {}).get("id") == _MARK
