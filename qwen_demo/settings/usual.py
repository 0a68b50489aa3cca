"""Defaults that depend on the place: Hugging Face Spaces and Gradio's own images say where they are by variables."""

import os
from pathlib import Path
from typing import Any


def on_spaces() -> bool:
    return bool(os.environ.get("SPACE_ID"))


def usual_host() -> str:
    """Loopback, unless the place says otherwise."""
    return os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_spaces() else "127.0.0.1")


def usual_port() -> Any:
    # A text, for pydantic to judge as one that a person gave.
    return os.environ.get("GRADIO_SERVER_PORT") or "7860"


def usual_proxies() -> str:
    """None; on Spaces the platform's own, which lie in private networks and alone reach the program."""
    return "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,127.0.0.0/8,fc00::/7,::1" if on_spaces() else ""


def usual_weights_cache() -> Path:
    """Where programs of this user keep what can be made anew."""
    # Where there is no home at all, the folder is never made: what is not kept is quantised again.
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "qwen-demo" / "weights"
