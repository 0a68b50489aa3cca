"""What browsers and programs may name in the payloads of Gradio's events: uploads, and URLs that stay URLs.

Gradio checks paths of launched pages only, not of mounted ones, and only where a payload carries
Gradio's own mark: `gr.Image` opens any image of the machine for whoever leaves the mark out.
Its downloader refuses private addresses, but takes http, any size and any time, and knows
neither `--fetch-urls` nor `--fetch-hosts`. So here every path is checked, and nothing is
downloaded: a URL is left alone until `media` fetches it, within its limits.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.utils import get_upload_folder

_URLS = ("http://", "https://", "data:")


def guard(demo: gr.Blocks) -> None:
    """Check all payloads of `demo`, and replace Gradio's downloader for this process."""
    assert hasattr(processing_utils, "async_ssrf_protected_download"), "another Gradio: find its downloader"
    processing_utils.async_ssrf_protected_download = _as_it_is
    processing_utils.async_ssrf_protected_get = _refuse
    demo.has_launched = True
    preprocess = demo.preprocess_data

    async def checked(block_fn, inputs: list, *args, **options):
        for path in _paths(inputs):
            _check(path)
        return await preprocess(block_fn, inputs, *args, **options)

    demo.preprocess_data = checked


def _paths(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("path"), str):
                yield item["path"]
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def _check(path: str) -> None:
    if not path.startswith(_URLS) and not is_upload(path):
        raise gr.Error("A file was named that was not uploaded here. Upload it again.", print_exception=False)


def is_upload(path: str) -> bool:
    """Whether `path` names a place among the uploads, be there a file or not."""
    try:
        return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError, RuntimeError):
        return False


async def _as_it_is(url: str, cache_dir: str) -> str:
    return url


async def _refuse(url: str):
    raise PermissionError("This page fetches no URL through Gradio.")
