"""Which layers of a model an adapter's configuration names, by peft's rules."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from qwen_demo.errors import AdapterRefused

LANGUAGE, VISION = "model.language_model.layers.", "model.visual."


def targets(config: Mapping[str, Any], names: Iterable[str], *, older: bool) -> list[str]:
    """The layers that the configuration names, by peft's rules: endings in a list, or one pattern of a whole name."""
    wanted, left_out = config.get("target_modules"), config.get("exclude_modules")
    only = config.get("layers_to_transform")
    numbers = None if only is None else {only} if isinstance(only, int) else set(only)
    found = []
    for name in names:
        known_as = _older_name(name) if older else name
        number = re.search(r"\.(?:layers|blocks)\.(\d+)\.", name)
        if numbers is not None and (number is None or int(number[1]) not in numbers):
            continue
        if _matches(wanted, known_as) and not (left_out and _matches(left_out, known_as)):
            found.append(name)
    return found


def _matches(wanted: Any, name: str) -> bool:
    if isinstance(wanted, str):
        if wanted == "all-linear":
            return name != "lm_head"
        try:
            return re.fullmatch(wanted, name) is not None
        except re.error as error:
            raise AdapterRefused(f"target_modules {wanted!r} is no pattern: {error}") from error
    if not isinstance(wanted, list):
        return False
    return any(name == end or name.endswith(f".{end}") for end in wanted)


def _older_name(name: str) -> str:
    """Before transformers 5."""
    if name.startswith(LANGUAGE):
        return "model.layers." + name.removeprefix(LANGUAGE)
    return name.removeprefix("model.") if name.startswith(VISION) else name
