"""The settings of the page's model menu, and who is offered it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from qwen_demo.settings.usual import on_spaces
from qwen_demo.settings.values import Commas, Usually

if TYPE_CHECKING:
    from qwen_demo.settings.fields import Settings


def usual_state_dir() -> Path:
    """Where programs of this user keep what they remember."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "qwen-demo"


class Choosing(BaseModel):
    """The choice of model on the page."""

    model_menu: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether visitors of the page may change the model for everybody: auto is only those at this machine, "
        "while it listens on loopback and trusts no proxy; on is all who see the page",
    )
    offer_models: Annotated[Commas, Usually("embedded, 3B and 7B")] = Field(
        (), description="folders and hub ids that the menu offers as well (comma-separated)"
    )
    state_dir: Annotated[Path, Usually("~/.local/state/qwen-demo")] = Field(
        default_factory=usual_state_dir, description="what is remembered: the model that was chosen on the page"
    )


def offers_models(settings: "Settings") -> bool:
    """Whether the page has a model menu at all: there is one engine, which holds a model of this machine.

    An adapter that is merged belongs to one model.
    """
    if settings.model_menu == "off" or not settings.holds_model or settings.compares or settings.merge_adapter:
        return False
    private = settings.on_loopback and not settings.trusted_proxies and not on_spaces()
    return settings.model_menu == "on" or private
