"""Every setting, read once: defaults, then `.env`, then environment, then command line.

Nothing else in the package reads the environment, and `apply_environment` alone writes it. An unknown
flag, variable or line of `.env`, and a bad value, stop the program at start with a message that names
it and where it came from.
"""

from qwen_demo.settings.environment import (
    NO_PROGRESS_BARS,
    apply_environment,
    environment_without_secrets,
    launched_place,
    page_environment,
    process_environment,
    replica_environments,
    variables_set,
)
from qwen_demo.settings.fields import Settings
from qwen_demo.settings.flags import FlagParser
from qwen_demo.settings.reading import load_settings, read_settings
from qwen_demo.settings.values import MIB

__all__ = [
    "MIB",
    "NO_PROGRESS_BARS",
    "FlagParser",
    "Settings",
    "apply_environment",
    "environment_without_secrets",
    "launched_place",
    "load_settings",
    "page_environment",
    "process_environment",
    "read_settings",
    "replica_environments",
    "variables_set",
]
