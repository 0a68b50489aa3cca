"""Where the chosen model's files are: a folder, the hub's cache, or the hub itself, from which they are fetched."""

from collections.abc import Callable
from pathlib import Path

from qwen_demo.models.choose import Choice
from qwen_demo.models.hub.cache import cached_folder
from qwen_demo.models.hub.download import Download
from qwen_demo.models.hub.listing import list_files
from qwen_demo.settings import Settings


def folder_of(choice: Choice, settings: Settings, progress: Callable[[str], None]) -> Path:
    """The folder with the model's files, all of them.

    Raises:
        ModelLoadError: they are not here and cannot be fetched.
    """
    folder = Path(choice.source).expanduser()
    if folder.is_dir():
        return folder
    if (cached := cached_folder(choice.source, choice.revision)) is not None:
        return cached
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    listing = list_files(choice.source, choice.revision, token, timeout_s=settings.hub_timeout_s)
    return Download(listing, token, lambda made: progress(made.sentence)).run()
