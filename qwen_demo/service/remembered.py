"""The model that was chosen last on the page, in a file of its own."""

import json
import logging
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "model.json"


class RememberedModel:
    """What is remembered from one start to the next. A disk that does not take it costs no more than that.

    Args:
        folder: where the file lies; None remembers nothing.
    """

    def __init__(self, folder: Path | None):
        self._file = folder / FILE if folder else None

    def read(self) -> str | None:
        """The model, None if none was chosen."""
        if self._file is None:
            return None
        try:
            model = json.loads(self._file.read_text(encoding="utf-8")).get("model")
        except (OSError, ValueError, AttributeError):
            return None
        return model if isinstance(model, str) and model else None

    def write(self, model: str) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps({"model": model}), encoding="utf-8")
        except OSError as error:
            log.warning("the choice of %s is not remembered: %s", model, error)

    def forget(self) -> None:
        if self._file is not None:
            try:
                self._file.unlink(missing_ok=True)
            except OSError as error:
                log.warning("the choice of a model is not forgotten: %s", error)
