"""Which low-rank adapters answer beside the model."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from qwen_demo.settings.values import Commas, Usually

NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Adapters(BaseModel):
    """Low-rank adapters beside the model."""

    adapters: Annotated[Commas, Usually("none")] = Field(
        (),
        description="NAME=FOLDER of LoRA adapters as peft writes them, which requests name as their model (comma-separated)",
    )
    adapters_dir: Annotated[Path | None, Usually("none")] = Field(
        None, description="operators may load adapters from folders in here while the program runs"
    )
    merge_adapter: Annotated[str | None, Usually("none")] = Field(
        None,
        description="the one adapter that always answers: its folder, or its name in --adapters; merged as the model loads",
    )
    max_adapters: int = Field(8, ge=1, le=64, description="adapters that are loaded at once")
    adapter_rank: int = Field(16, ge=1, le=64, description="highest rank of an adapter; room is kept for it")
    adapter_mib: int = Field(1024, ge=1, description="largest file of an adapter")

    @model_validator(mode="after")
    def _adapters_have_names_and_places(self) -> Self:
        names = []
        for entry in self.adapters:
            name, equals, folder = entry.partition("=")
            if not equals or not folder or not NAME.fullmatch(name):
                raise ValueError(f"--adapters: {entry} is not NAME=FOLDER, with a name of letters, digits, ., - and _")
            names.append(name)
        if len(set(names)) < len(names):
            raise ValueError("--adapters: two have the same name")
        if self.merge_adapter and (self.adapters_dir or set(names) - {self.merge_adapter}):
            raise ValueError(
                f"--merge-adapter: with {self.merge_adapter} merged into it the model is another one than other adapters were "
                "learnt on: leave out --adapters-dir and the others in --adapters"
            )
        if len(names) > self.max_adapters:
            raise ValueError(f"--adapters: {len(names)} are more than --max-adapters {self.max_adapters}")
        return self

    @property
    def named_adapters(self) -> dict[str, Path]:
        """Folders of `adapters` by name; none where one is merged."""
        return {} if self.merge_adapter else self._folders

    @property
    def _folders(self) -> dict[str, Path]:
        return {name: Path(folder).expanduser() for name, _, folder in (each.partition("=") for each in self.adapters)}

    @property
    def merged_folder(self) -> Path | None:
        """Of `merge_adapter`."""
        if not self.merge_adapter:
            return None
        return self._folders.get(self.merge_adapter) or Path(self.merge_adapter).expanduser()

    @property
    def merged_name(self) -> str:
        """What people call it; empty where none is merged."""
        folder = self.merged_folder
        return (
            ""
            if folder is None
            else self.merge_adapter
            if self.merge_adapter in self._folders
            else folder.resolve().name
        )

    @property
    def has_adapters(self) -> bool:
        """Whether a request may ever name one."""
        return bool(self.named_adapters) or self.adapters_dir is not None
