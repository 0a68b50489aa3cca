"""`qwen-demo ask`: one answer on the terminal, without a server."""

import asyncio
import logging
import sys
import warnings
from collections.abc import Awaitable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_demo.errors import InvalidRequest
from qwen_demo.settings import FlagParser, Settings, apply_environment, process_environment, read_settings
from qwen_demo.types import ChatRequest, Finished, Message, Part, Sampling, Text, TextDelta

if TYPE_CHECKING:
    from qwen_demo.media import MediaLoader


def ask(argv: Sequence[str], prog: str) -> int:
    """Stream the answer to standard output."""
    parser = FlagParser(
        prog, "One answer on the terminal, without a server.", usage="[IMAGE ...] QUESTION [settings]", listed=False
    )
    parser.add_argument(
        "words", nargs="+", metavar="[IMAGE ...] QUESTION", help="files or https URLs, then the question in quotes"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="0, the default, gives the same answer each time"
    )
    parser.add_argument("--max-tokens", type=int, default=512, help="longest answer, 512 tokens by default")
    parser.add_argument("--seed", type=int, help="makes an answer with a temperature come again")
    given, options = parser.read(argv)
    *images, question = options.words
    settings = read_settings(given)
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(message)s")
    warnings.simplefilter("ignore")
    apply_environment(process_environment())
    sampling = Sampling(options.max_tokens, options.temperature, seed=options.seed)
    return asyncio.run(_answer(settings, images, question, sampling))


async def _answer(settings: Settings, images: list[str], question: str, sampling: Sampling) -> int:
    from qwen_demo.media import MediaLoader
    from qwen_demo.server.engines import build_engine
    from qwen_demo.service.service import Service

    async with aclosing(MediaLoader.of(settings)) as loader:
        parts = [await _open(name, loader) for name in images]
    service = Service(settings.model_copy(update={"warmup": False}), build_engine(settings))
    service.start()
    await service.loaded()
    try:
        if service.failure:
            raise service.failure
        request = ChatRequest((Message("user", (*parts, Text(question))),), sampling)
        async with aclosing(service.answer(request, front="cli")) as events:
            async for event in events:
                if isinstance(event, Finished):
                    _report(event)
                elif isinstance(event, TextDelta):
                    print(event.text, end="", flush=True)
    finally:
        await service.close()
    return 0


def _open(name: str, loader: "MediaLoader") -> Awaitable[Part]:
    if name.startswith(("https:", "http:", "data:")):
        return loader.load_url(name)
    path = Path(name)
    if not path.is_file():
        raise InvalidRequest(f"{name}: there is no such file. Images come first, the question last, in quotes.")
    return loader.load_path(path, allowed_roots=[path.resolve().parent])


def _report(finished: Finished) -> None:
    print(flush=True)
    if finished.reason != "stop":
        print(f"(ended by {finished.reason})", file=sys.stderr)
