"""The adapters that requests may name: those of the start, and those that operators load and unload meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from qwen_demo.errors import AdapterRefused, InvalidRequest, NotFound, SettingsError
from qwen_demo.models import adapters as folders
from qwen_demo.settings import Settings
from qwen_demo.settings.adapters import NAME
from qwen_demo.types import Adapter

# Engines that answer with adapters; the scripted one says what it always does.
ENGINES = ("auto", "batching", "remote", "scripted")


class AdapterNames:
    """Adapters by name. Where another server has them, the folder is their name there."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._known: dict[str, Adapter] = {}
        self._changing = asyncio.Lock()

    @property
    def known(self) -> dict[str, Adapter]:
        """In the order in which they came."""
        return dict(self._known)

    async def open(self) -> None:
        """Read those of the start.

        Raises:
            AdapterRefused, SettingsError: one of them is none, or the engine answers with none.
        """
        settings = self._settings
        if settings.has_adapters and settings.engine not in ENGINES:
            raise SettingsError(f"--engine {settings.engine} answers without adapters: leave out --adapters.")
        for name, folder in settings.named_adapters.items():
            if settings.engine == "remote":
                self._known[name] = Adapter(str(folder))
            else:
                self._known[name] = await asyncio.to_thread(folders.named, name, folder, settings.adapter_mib << 20)

    def of(self, name: str, model: str) -> Adapter | None:
        """What a request that names `name` is answered with; None is `model` alone. Raises `NotFound`."""
        if name in self._known:
            return self._known[name]
        if name in ("", model):
            return None
        raise NotFound(
            f"There is no model {name!r} here; this server has {', '.join([model, *self._known])}.", field="model"
        )

    async def load(
        self,
        name: str,
        path: str,
        taken: str,
        try_it: Callable[[Adapter], Awaitable[None]],
        *,
        in_place: bool = False,
    ) -> None:
        """Let requests name one more, or another one by a name that there is.

        Args:
            path: its folder, in `--adapters-dir`.
            taken: a name that it may not have, the model's.
            try_it: answers something with it; raises what stands against it.
            in_place: whether an adapter may have the name already, which then is the new one's. Requests that were
                taken before end with the old one, and all that is kept of prompts is kept by what an adapter is, not
                by its name.

        Raises:
            InvalidRequest: its name, its place or their number; `AdapterRefused`: what it is.
        """
        async with self._changing:
            if not NAME.fullmatch(name) or name == taken:
                raise InvalidRequest(
                    f"lora_name is {name[:100]!r}: it must be of letters, digits, ., - and _, and not the model's own.",
                    field="lora_name",
                )
            if name in self._known and not in_place:
                raise InvalidRequest(
                    f"There is an adapter {name} already. Give load_inplace true to put this one in its place.",
                    field="lora_name",
                )
            if name not in self._known and len(self._known) >= self._settings.max_adapters:
                raise InvalidRequest(
                    f"{len(self._known)} adapters are loaded, which is all that there may be. Unload one (or raise "
                    "--max-adapters).",
                    field="lora_name",
                )
            folder = await asyncio.to_thread(self._inside, path)
            adapter = await asyncio.to_thread(folders.named, name, folder, self._settings.adapter_mib << 20)
            await try_it(adapter)
            self._known[name] = adapter

    def unload(self, name: str) -> None:
        """Requests may name it no more; those that run end with it. Raises `NotFound`."""
        if self._known.pop(name, None) is None:
            raise NotFound(f"There is no adapter {name[:100]!r} here.", field="lora_name")

    def _inside(self, path: str) -> Path:
        root = self._settings.adapters_dir
        if root is None:
            raise InvalidRequest("Adapters are loaded from --adapters-dir, which is not set.", field="lora_path")
        try:
            folder = (root / path).resolve(strict=True)
            inside = folder.is_relative_to(root.resolve(strict=True)) and folder.is_dir()
        except (OSError, ValueError, RuntimeError):
            inside = False
        if not inside:
            raise AdapterRefused("lora_path is no folder inside --adapters-dir.", field="lora_path")
        return folder
