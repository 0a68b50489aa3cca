"""`qwen-demo finetune`: check data, teach a model from it, and merge what was learnt into its base."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen_demo.errors import InvalidRequest
from qwen_demo.server.merge import merged
from qwen_demo.settings import FlagParser, Settings, apply_environment, process_environment, read_settings

if TYPE_CHECKING:
    from qwen_demo.finetune.data import Asked

_USAGE = "[check] DATA [--base MODEL --out ADAPTER] [settings]; merge ADAPTER --base MODEL --out FOLDER"
RECIPE = ("rank", "learning_rate", "epochs", "batch", "micro_batch", "patience", "seed")


def finetune(argv: Sequence[str], prog: str) -> int:
    """Gives 1 where a row of checked data is refused."""
    parser = parser_of(prog)
    given, options = parser.read(argv)
    words = list(options.words)
    checks, merges = words[:1] == ["check"], words[:1] == ["merge"]
    if len(words) != 1 + (checks or merges):
        raise InvalidRequest(f"{prog} takes one file or folder: {_USAGE}")
    if not checks and options.out is None:
        raise InvalidRequest("Where is the result to be written? Give --out FOLDER.")
    if merges and options.base is None:
        raise InvalidRequest("Which model was the adapter learnt on? Give --base MODEL.")
    settings = settings_of(given, options.base)
    if merges:
        merged(Path(words[-1]), settings, options.out, tell)
        return 0
    asked = asked_of(options, Path(words[-1]))
    apply_environment(process_environment())
    if checks:
        return asyncio.run(check(asked, settings))
    asyncio.run(taught(asked, settings, options))
    return 0


def parser_of(prog: str) -> FlagParser:
    parser = FlagParser(prog, "Teach a model from labelled images: a low-rank adapter.", usage=_USAGE, listed=False)
    parser.add_argument("words", nargs="*", metavar="DATA", help="a .jsonl, .json or .csv file, or a folder of them")
    add_data_flags(parser)
    add_recipe_flags(parser)
    return parser


def add_data_flags(parser: FlagParser) -> None:
    parser.add_argument(
        "--images", type=Path, action="append", metavar="FOLDER", help="where images lie; may be repeated"
    )
    parser.add_argument(
        "--boxes",
        choices=("original", "processed", "thousandths"),
        default="original",
        help="what numbers of boxes in the data are: pixels of the image as it is (the default), pixels of the image "
        "as the model sees it, or thousandths of its sides",
    )
    parser.add_argument("--question", default="", help="for rows that have an image and an answer alone")
    parser.add_argument("--held-out", type=float, default=None, metavar="SHARE", help="of the images, 0.15 by default")
    parser.add_argument("--held-out-data", type=Path, metavar="DATA", help="a file or folder of its own for that")


def add_recipe_flags(parser: FlagParser, remember: int = 48) -> None:
    """
    Args:
        remember: default of `--remember`.
    """
    parser.add_argument("--base", metavar="MODEL", help="embedded, a folder or a hub id; as --model")
    parser.add_argument("--out", type=Path, metavar="ADAPTER", help="a new folder")
    parser.add_argument("--plan", action="store_true", help="say what it would take, and teach nothing")
    parser.add_argument("--vision", action="store_true", help="teach the vision encoder, too")
    parser.add_argument("--rank", type=int, help="of the adapter, 16 by default, 64 at most")
    parser.add_argument("--learning-rate", type=float, metavar="RATE")
    parser.add_argument("--epochs", type=int, metavar="N")
    parser.add_argument("--batch", type=int, metavar="N", help="rows of an update")
    parser.add_argument("--micro-batch", type=int, metavar="N", help="rows at once on a device")
    parser.add_argument("--patience", type=int, metavar="N", help="epochs without a better held-out loss; 0 never ends")
    parser.add_argument(
        "--remember",
        type=int,
        default=remember,
        metavar="N",
        help=f"answers of the base itself that it is held to, {remember} by default",
    )
    parser.add_argument("--seed", type=int, metavar="N")
    for flag, field, value in (
        ("--packing", "packed", True),
        ("--no-packing", "packed", False),
        ("--checkpointing", "checkpointing", True),
        ("--no-checkpointing", "checkpointing", False),
    ):
        parser.add_argument(flag, dest=field, action="store_const", const=value)


def settings_of(given: dict[str, Any], base: str | None) -> Settings:
    """Of a program on its owner's terminal: images are read one after the other, and wait for nobody."""
    if base is not None:
        given = {**given, "model": base}
    return read_settings({"cache_seconds": 0, **given})


def asked_of(options: Any, data: Path) -> "Asked":
    from qwen_demo.finetune.data import HELD_OUT, Asked

    share = HELD_OUT if options.held_out is None else options.held_out
    if not 0 <= share < 1:
        raise InvalidRequest(f"--held-out {share}: a share from 0 up to, but not, 1.")
    folders = tuple(options.images or ())
    return Asked(data, folders, options.boxes, options.question, share, options.held_out_data)


async def check(asked: "Asked", settings: Settings) -> int:
    """What is wrong goes to standard output: it is what was asked for."""
    from qwen_demo.finetune import base, data

    described = base.described(settings, tell)
    with tempfile.TemporaryDirectory(prefix="qwen-demo-") as kept:
        found = await data.gathered(asked, described, Path(kept))
    print(data.told(found, asked, described))
    return 1 if found.refused else 0


async def taught(asked: "Asked", settings: Settings, options: Any) -> dict[str, Any]:
    from qwen_demo.finetune import base

    described = base.described(settings, tell)  # first, as it makes the libraries of training importable
    from qwen_demo.finetune.run import Order, finetune

    given = {name: getattr(options, name) for name in RECIPE}
    given |= {"packed": options.packed, "checkpointing": options.checkpointing, "vision": options.vision or None}
    order = Order(asked, options.out, given, options.plan, options.remember, own_images())
    facts = await finetune(order, described, tell)
    if facts:
        print(options.out)
    return facts


def own_images() -> tuple[Path, ...]:
    """The page's, which any model is asked about so that it keeps what it says of them."""
    from qwen_demo.ui.examples import FOLDER

    return tuple(sorted(FOLDER.glob("*.png")))


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
