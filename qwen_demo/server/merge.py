"""`qwen-demo finetune merge`: one adapter and its base as one checkpoint."""

from collections.abc import Callable
from pathlib import Path

from qwen_demo.errors import InvalidRequest
from qwen_demo.settings import Settings


def merged(adapter: Path, settings: Settings, out: Path, tell: Callable[[str], None]) -> None:
    """Raises `QwenDemoError`."""
    from qwen_demo.models import merging
    from qwen_demo.models.checkpoint import Checkpoint
    from qwen_demo.models.choose import choose
    from qwen_demo.models.hub.fetch import folder_of

    choice = choose(settings)
    try:
        merging.merge(adapter, Checkpoint.of(folder_of(choice, settings, tell)), choice.model_id, out, tell)
    except OSError as error:
        raise InvalidRequest(str(error)) from error
    print(out)
