"""Finding in collections: recall, refusals, citations, milliseconds by size, pages per second, bytes a page, memory.

    python -m benchmarks.knowledge --pages 1000,10000,100000 --out FOLDER [--peer FOLDER] [--keep FOLDER]

The corpus is made by seed (`knowledge_corpus.py`); with `--keep` it is filled once and searched again later. `--peer`
is the folder that LlamaIndex is installed in, see `knowledge_peer.py`.
"""

import argparse
import asyncio
import contextlib
import itertools
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks import knowledge_peer
from benchmarks.knowledge_corpus import Fact, beside, sheets, unanswerable
from benchmarks.knowledge_reader import COLLECTION, answered
from benchmarks.machine import write
from qwen_demo.knowledge.answering import enough
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.finding import find
from qwen_demo.knowledge.knowledge import LOCAL
from qwen_demo.knowledge.shelf import Shelf
from qwen_demo.media import PageText

QUESTIONS = 300
UNANSWERABLE = 120
AT_ONCE = 200  # pages in a transaction: as adding a file of many pages does

Place = tuple[str, int]


def filled(folder: Path, count: int) -> tuple[Collection, float | None]:
    """The collection of `count` pages, and pages per second while it was filled; None where it was there."""
    collection = Shelf(folder).make(LOCAL, COLLECTION)
    if collection.counts()[0] == count:
        return collection, None
    assert not collection.files(), "what is kept there is another corpus"
    began, current = time.perf_counter(), None
    waiting: list[PageText] = []
    for sheet in sheets(count):
        if current is None or current.name != sheet.file or len(waiting) >= AT_ONCE:
            if current:
                collection.add_pages(current.id, current.name, waiting)
            waiting = []
            current = collection.enter(sheet.file, sheet.file, 0)
        waiting.append(sheet.page)
    if current:
        collection.add_pages(current.id, current.name, waiting)
    seconds = time.perf_counter() - began
    collection.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return collection, count / seconds


def facts_of(count: int) -> list[Fact]:
    """What is asked: every so many of them, as of 100,000 pages all would take memory that is measured."""
    every = max(1, count // QUESTIONS)
    return [sheet.fact for sheet in itertools.islice(sheets(count), 0, None, every)][:QUESTIONS]


def recalled(search: Callable[[str], Sequence[Place]], facts: Sequence[Fact]) -> dict[str, Any]:
    """Recall and milliseconds a search; recall of each language by itself, as one mean would hide what is not read."""
    languages = {
        "english": [f for f in facts if f.question.isascii()],
        "chinese": [f for f in facts if not f.question.isascii()],
    }
    split = {name: _recall(search, own) for name, own in languages.items() if own}
    return _recall(search, facts) | split


def _recall(search: Callable[[str], Sequence[Place]], facts: Sequence[Fact]) -> dict[str, Any]:
    """Recall at 1, 3 and 10, mean reciprocal rank, and milliseconds of the processor a search: others may share it."""
    ranks, times, walls = [], [], []
    for fact in facts:
        began, wall = time.process_time(), time.perf_counter()
        places = list(search(fact.question))
        times.append(time.process_time() - began)
        walls.append(time.perf_counter() - wall)
        ranks.append(places.index((fact.file, fact.page)) + 1 if (fact.file, fact.page) in places else 0)
    found = {f"recall_at_{most}": sum(0 < rank <= most for rank in ranks) / len(ranks) for most in (1, 3, 10)}
    times.sort()
    return found | {
        "mrr": statistics.fmean(1 / rank if rank else 0 for rank in ranks),
        "ms_median": 1000 * statistics.median(walls),
        "cpu_ms_median": 1000 * times[len(times) // 2],
        "cpu_ms_p95": 1000 * times[int(len(times) * 0.95)],
    }


def measured(folder: Path, count: int, *, peer: bool) -> dict[str, Any]:
    asked = facts_of(count)
    with Growth() as filling:
        collection, pages_per_s = filled(folder, count)
    size = sum(path.stat().st_size for path in collection.folder.glob("words.sqlite*"))
    result: dict[str, Any] = {"pages": count, "pages_per_s": pages_per_s, "bytes_a_page": size / count}
    with Growth() as searching:
        result |= recalled(
            lambda question: [(h.page.file, h.page.number) for h in find(collection, question, 10)], asked
        )
        hits = [find(collection, fact.question, 5) for fact in asked]
    strangers, near = unanswerable(UNANSWERABLE), beside(UNANSWERABLE, count)
    result["answered"] = sum(map(enough, hits)) / len(hits)
    result["refused"] = sum(not enough(find(collection, each, 5)) for each in strangers) / len(strangers)
    result["refused_beside"] = sum(not enough(find(collection, each, 5)) for each in near) / len(near)
    result["mib_filling"], result["mib_searching"] = filling.mib if pages_per_s else None, searching.mib
    collection.close()
    for name, cites in (("engine_that_cites", True), ("engine_that_names_no_page", False)):
        result[name] = asyncio.run(answered(folder, asked, strangers, near, cites=cites))
    if peer:
        began = time.perf_counter()
        search = knowledge_peer.by_words((sheet.file, sheet.page) for sheet in sheets(count))
        result["peer"] = {"pages_per_s": count / (time.perf_counter() - began), **recalled(search, asked)}
    return result


class Growth:
    """Memory of this process at its highest within the block, over that before it.

    Attributes:
        mib: there once the block has ended. Pages of files that the system keeps for itself are not in it.
    """

    mib: float

    def __enter__(self) -> Self:
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
        self._before = _status_mib("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.mib = _status_mib("VmHWM") - self._before


def _status_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", default="1000,10000,100000")
    parser.add_argument("--peer", type=Path, help="folder that LlamaIndex is installed in")
    parser.add_argument("--peer-pages", type=int, default=10_000, help="largest corpus that the peer gets")
    parser.add_argument("--keep", type=Path, help="folder that corpora are kept in, to be searched again")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    if given.peer:
        sys.path.append(str(given.peer))
    results = []
    for count in map(int, given.pages.split(",")):
        with contextlib.ExitStack() as stack:
            folder = given.keep / str(count) if given.keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            results.append(measured(folder, count, peer=bool(given.peer) and count <= given.peer_pages))
        print({name: round(value, 4) if isinstance(value, float) else value for name, value in results[-1].items()})
    if given.out:
        write("knowledge", {"results": results}, given.out)


if __name__ == "__main__":
    main()
