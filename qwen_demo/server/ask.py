"""`qwen-demo ask`: one answer on the terminal, without a server."""

import asyncio
import logging
import sys
import warnings
from collections.abc import Awaitable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_demo.answers.places import places as places_in
from qwen_demo.errors import InvalidRequest
from qwen_demo.media import Viewing
from qwen_demo.models.pixels import seen_views
from qwen_demo.points.cut import CUTS
from qwen_demo.points.exports import as_csv, as_json
from qwen_demo.points.frame import UPS
from qwen_demo.points.words import parts_of
from qwen_demo.sentences import counted
from qwen_demo.settings import FlagParser, Settings, apply_environment, process_environment, read_settings
from qwen_demo.types import ChatRequest, Finished, Image, Message, ModelInfo, Points, Sampling, Text, TextDelta, Video

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
    parser.add_argument("--up", default="auto", choices=UPS, help="of a point cloud or 3D model: which axis points up")
    parser.add_argument("--cut", default="none", choices=CUTS, help="of the same: what is left out of its views")
    parser.add_argument(
        "--places", type=Path, metavar="FILE", help="write what the answer marks in it, in its own space: .json or .csv"
    )
    given, options = parser.read(argv)
    *images, question = options.words
    if Path(question).is_file():
        raise InvalidRequest(f"{question} is a file: what is asked about it comes last, in quotes.")
    if options.places and options.places.suffix.lower() not in (".json", ".csv"):
        raise InvalidRequest(f"--places {options.places}: name it .json or .csv.")
    settings = read_settings(given)
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(message)s")
    warnings.simplefilter("ignore")
    apply_environment(process_environment())
    sampling = Sampling(options.max_tokens, options.temperature, seed=options.seed)
    viewing = Viewing(up=options.up, cut=options.cut)
    return asyncio.run(_answer(settings, images, question, sampling, viewing, options.places))


async def _answer(
    settings: Settings, images: list[str], question: str, sampling: Sampling, viewing: Viewing, places: Path | None
) -> int:
    from qwen_demo.media import MediaLoader
    from qwen_demo.server.engines import build_engine
    from qwen_demo.service.service import Service

    async with aclosing(MediaLoader.of(settings)) as loader:
        opened = [await _open(name, loader, viewing) for name in images]
    models = [medium for medium in opened if isinstance(medium, Points)]
    if places and not models:
        raise InvalidRequest("--places goes with a point cloud or 3D model among the files.")
    parts = [part for medium in opened for part in parts_of(medium)]
    text = ""
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
                    text += event.text
        if places:
            _write_places(places, text, models[-1], service.status().model)
    finally:
        await service.close()
    return 0


def _write_places(file: Path, text: str, points: Points, model: ModelInfo) -> None:
    """What the answer marks in the last model, in its own coordinates."""
    marks, things = places_in(text, points, seen_views(points, model))
    table = as_csv(things, marks) if file.suffix.lower() == ".csv" else as_json(points, things, marks)
    file.write_text(table, encoding="utf-8", newline="")
    print(f"({counted(len(things), 'place')} written to {file})", file=sys.stderr)


def _open(name: str, loader: "MediaLoader", viewing: Viewing) -> Awaitable[Image | Video | Points]:
    """Of an image or video, `viewing` says nothing."""
    if name.startswith(("https:", "http:", "data:")):
        return loader.load_url(name, clip=viewing)
    path = Path(name)
    if not path.is_file():
        raise InvalidRequest(f"{name}: there is no such file. Images come first, the question last, in quotes.")
    return loader.load_path(path, allowed_roots=[path.resolve().parent], clip=viewing)


def _report(finished: Finished) -> None:
    print(flush=True)
    if finished.reason != "stop":
        print(f"(ended by {finished.reason})", file=sys.stderr)
