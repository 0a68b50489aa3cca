"""Who goes first where engines share a card or a machine: the settings of one group, in a file of its own."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from qwen_demo.settings.values import Usually


class Sharing(BaseModel):
    """A card or a machine that is shared."""

    go_first_file: Annotated[Path | None, Usually("none")] = Field(
        None,
        description="a file, locked while questions wait here, that others on this machine give way by; the second engine "
        "of --compare-engine then does, too",
    )
    give_way_file: Annotated[Path | None, Usually("none")] = Field(
        None,
        description="that file of another server: while its questions wait, each step here is followed by a pause of up to "
        "four times its length; finetune takes it, too",
    )

    @model_validator(mode="after")
    def _not_to_itself(self) -> Self:
        if self.go_first_file is not None and self.go_first_file == self.give_way_file:
            raise ValueError(
                f"--go-first-file {self.go_first_file} is --give-way-file, too, and nobody gives way to itself"
            )
        return self
