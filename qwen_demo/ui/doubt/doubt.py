"""The mark at an answer that the model was unsure of, by the probabilities of its own tokens.

The measure is the geometric mean of the probabilities that the model gave to the tokens of its answer, or the least of
them. Below the model's threshold the answer is marked. A model brings both in the file `doubt.json` of its folder,
`{"unsure_below": 0.6, "measure": "least"}`, as calibrated on images held out for that (`training/doubt.py`); others get
`UNSURE_BELOW` of the mean. Answers that give boxes or points are measured by the mean, too, against a threshold of their
own (`places_unsure_below`): a coordinate may well be a pixel more or less.
"""

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.types import ModelInfo, TextDelta
from qwen_demo.ui import render
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words

# Of a model without a threshold of its own: on average each token was no likelier than that.
UNSURE_BELOW = 0.5
FILE = "doubt.json"
MEASURES = ("mean", "least")
PLACES = '_2d"'  # in answers with boxes or points
_MARK = "unsure"


class Surety:
    """How sure the model was of the answer so far."""

    def __init__(self) -> None:
        self._sum, self._least, self._tokens, self._text = 0.0, 0.0, 0, ""

    def add(self, delta: TextDelta) -> None:
        self._text += delta.text
        found = [token.logprob for token in delta.logprobs]
        self._sum += sum(found)
        self._least = min(self._least, *found) if found else self._least
        self._tokens += len(found)

    @property
    def mean(self) -> float | None:
        """Geometric mean of the probabilities, from 0 to 1; None where the engine told none."""
        return math.exp(self._sum / self._tokens) if self._tokens else None

    @property
    def least(self) -> float | None:
        """The smallest of the probabilities; None where the engine told none."""
        return math.exp(self._least) if self._tokens else None

    def is_low(self, model: ModelInfo) -> bool:
        if PLACES in self._text:
            return self.mean is not None and self.mean < threshold(model, "places_unsure_below")
        found = getattr(self, measure(model))
        return found is not None and found < threshold(model)


def threshold(model: ModelInfo, name: str = "unsure_below") -> float:
    """Of this model, from 0 (never marked) to 1."""
    found = _calibration(model).get(name)
    return float(found) if isinstance(found, int | float) and 0 <= found <= 1 else UNSURE_BELOW


def measure(model: ModelInfo) -> str:
    """ "mean" or "least": what this model's threshold is of."""
    found = _calibration(model).get("measure")
    return found if found in MEASURES else MEASURES[0]


def _calibration(model: ModelInfo) -> dict[str, Any]:
    if model.merged:
        return {}  # what was calibrated is the model without the adapter
    return _calibrated(EMBEDDED_DIR if model.embedded else Path(model.model_id))


@lru_cache(maxsize=16)
def _calibrated(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def mark(words: Words = texts) -> render.Message:
    """The note under such an answer."""
    note = render.note(f'<span class="unsure">{words.UNSURE}</span>')
    note["metadata"]["id"] = _MARK
    return note


def is_mark(message: render.Message) -> bool:
    return (message.get("metadata") or {}).get("id") == _MARK
