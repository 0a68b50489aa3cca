"""`qwen-demo models` and `qwen-demo pull`: which models there are, what they need here, and fetching one beforehand."""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from qwen_demo.errors import ModelLoadError, SettingsError
from qwen_demo.models import machine, memory
from qwen_demo.models.hub.cache import cached_folder
from qwen_demo.models.hub.catalog import GIB, KNOWN, KnownModel
from qwen_demo.models.hub.download import GB, Download, DownloadProgress, DownloadStopped
from qwen_demo.models.hub.listing import Listing, list_files
from qwen_demo.models.hub.offers import SHARE_IN_MEMORY
from qwen_demo.models.hub.survey import kind_here
from qwen_demo.server.command_parser import CommandParser
from qwen_demo.service.logs import ADVERTISING
from qwen_demo.settings import apply_environment, process_environment, read_settings

SHORT = {"3b": "Qwen/Qwen2.5-VL-3B-Instruct", "7b": "Qwen/Qwen2.5-VL-7B-Instruct"}


def show(argv: Sequence[str], prog: str) -> int:
    """A line for each model: where it is, what it needs here and how quick it would be."""
    parser = CommandParser(prog, "Which models there are, what they need on this machine, and how quick they would be.")
    parser.add_argument("--quick", action="store_true", help="do not measure, which takes seconds")
    options = parser.parse_args(argv)
    logging.getLogger(ADVERTISING).setLevel(logging.ERROR)
    print("embedded: comes with the program, 0.05 GB; reads text and simple drawings, no photographs")
    for model in reversed(list(KNOWN.values())):
        print(describe(model, measure=not options.quick))
    print(f"Fetch one with: {prog.rsplit(' ', 1)[0]} pull 3b; it answers with --model auto, or by its name.")
    return 0


def describe(model: KnownModel, *, measure: bool) -> str:
    """A line about one of the known models."""
    fetched = cached_folder(model.model_id, None) is not None
    place = "fetched" if fetched else f"{model.download_bytes / GB:.1f} GB to fetch"
    if not measure:
        return f"{model.model_id}: {place}"
    kind, needed, free = needs(model)
    fits = "fits" if needed <= free else "does not fit"
    line = f"{model.model_id}: {place}; {kind} needs {needed:.1f} GiB of {free:.1f} free, {fits}"
    if machine.device() != "cpu":
        return line
    from qwen_demo.models.cpu.speed import expected

    quick = expected(model, kind, machine.dtype_for("cpu", small=False))
    return f"{line}; about {quick.first_token_s:.0f} s to the first token, then {quick.tokens_per_s:.0f} tokens/s"


def needs(model: KnownModel) -> tuple[str, float, float]:
    """The kind of weights that `auto` takes here, GiB that they need and GiB that are free."""
    device = machine.device()
    kind = kind_here(device)
    if device.startswith("cuda"):
        return kind, memory.needed_gib(model.model_id, kind), machine.free_memory(device) / GIB
    return kind, model.cpu_bytes(kind) / GIB, machine.available_memory() / GIB


def pull(argv: Sequence[str], prog: str) -> int:
    """Fetch a model into the hub's cache. Interrupted, it goes on where it stopped."""
    parser = CommandParser(
        prog, "Fetch a model from the hub. Interrupted, it goes on where it stopped when called again."
    )
    parser.add_argument("model", metavar="MODEL", help="3b, 7b, or a hub id such as Qwen/Qwen2.5-VL-3B-Instruct")
    parser.add_argument("--revision", help="branch, tag or commit")
    parser.add_argument("--anyway", action="store_true", help="also what this machine's memory does not hold")
    options = parser.parse_args(argv)
    apply_environment(process_environment())
    model_id = SHORT.get(options.model.lower(), options.model)
    if model_id.count("/") != 1:
        raise SettingsError(f"{options.model} is no hub id (owner/name). Give 3b, 7b, or one such as {SHORT['3b']}.")
    token = read_settings({}).hf_token
    secret = token.get_secret_value() if token else None
    listing = list_files(model_id, options.revision, secret)
    if not options.anyway:
        refuse_what_does_not_fit(listing)
    download = Download(listing, secret, PullBar(sys.stderr.isatty()).show)
    with _stopped_by_interrupt(download.stop):
        try:
            folder = download.run()
        except DownloadStopped:
            print(f"stopped; {prog} {options.model} goes on from there", file=sys.stderr)
            return 130
    print(folder)
    return 0


def refuse_what_does_not_fit(listing: Listing) -> None:
    """Before gigabytes are fetched for nothing. Raises `ModelLoadError`."""
    if known := KNOWN.get(listing.model_id):
        kind, needed, free = needs(known)
    else:
        kind, needed, free = "four bits", listing.bytes * SHARE_IN_MEMORY / GIB, machine.available_memory() / GIB
    if needed > free:
        raise ModelLoadError(
            f"{listing.model_id} needs about {needed:.1f} GiB of memory ({kind}), and {free:.1f} GiB are free here. Choose a "
            "smaller model, end other programs, or fetch it all the same with --anyway."
        )


class PullBar:
    """Progress on standard error: one line that changes on a terminal, ten lines elsewhere."""

    def __init__(self, is_terminal: bool):
        self._is_terminal, self._tenth = is_terminal, -1

    def show(self, progress: DownloadProgress) -> None:
        if self._is_terminal:
            over = progress.done_bytes == progress.total_bytes
            print(f"\r\x1b[K{progress.sentence}", end="\n" if over else "", file=sys.stderr, flush=True)
            return
        tenth = 10 * progress.done_bytes // max(1, progress.total_bytes)
        if tenth != self._tenth:
            self._tenth = tenth
            print(progress.sentence, file=sys.stderr, flush=True)


@contextmanager
def _stopped_by_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a download between two pieces, so that what has come can be used."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
