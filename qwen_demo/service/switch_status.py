"""How far the change to another model is, for whoever shows it."""

from dataclasses import dataclass
from typing import Literal

from qwen_demo.sentences import Sentence

Stage = Literal["idle", "downloading", "paused", "loading", "draining", "failed"]


@dataclass(frozen=True, slots=True)
class SwitchStatus:
    """How far a change is.

    Attributes:
        model: that was asked for; empty before anything was.
        detail: one sentence for people.
        done_bytes, total_bytes: of the download, 0 without one.
    """

    stage: Stage = "idle"
    model: str = ""
    detail: str = ""
    done_bytes: int = 0
    total_bytes: int = 0

    @property
    def under_way(self) -> bool:
        return self.stage in ("downloading", "loading", "draining")


def being_loaded(model: str, stage: str) -> Sentence:
    """Why nothing answers while models change places."""
    return Sentence("{model} is being loaded in the place of the present model ({stage})", model=model, stage=stage)
