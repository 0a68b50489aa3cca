"""Finding in collections: recall, refusals, citations, milliseconds by size, pages per second, bytes a page.

    python -m benchmarks.knowledge --pages 1000,10000,100000 --out FOLDER [--peer FOLDER]

The corpus is made by seed (`knowledge_corpus.py`). The peer is LlamaIndex with its BM25 retriever over its in-memory
store, installed by itself: `pip install --target FOLDER llama-index-core llama-index-retrievers-bm25`.
"""

import argparse
import logging
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.knowledge_corpus import Fact, beside, sheets, unanswerable
from benchmarks.machine import write
from qwen_demo.knowledge.answering import enough
from qwen_demo.knowledge.citations import best_supported
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.finding import find

QUESTIONS = 300
UNANSWERABLE = 120
AT_ONCE = 200  # pages in a transaction: as adding a file of many pages does

Place = tuple[str, int]


def filled(folder: Path, count: int) -> tuple[Collection, list[Fact], float]:
    """A collection of `count` pages, what may be asked of it, and pages per second while it was filled."""
    collection, facts = Collection(folder), []
    began, waiting, current = time.perf_counter(), [], None
    for sheet in sheets(count):
        facts.append(sheet.fact)
        if current is None or current.name != sheet.file or len(waiting) >= AT_ONCE:
            if current:
                collection.add_pages(current.id, current.name, waiting)
            waiting = []
            current = collection.enter(sheet.file, sheet.file, 0)
        waiting.append(sheet.page)
    if current:
        collection.add_pages(current.id, current.name, waiting)
    return collection, facts, count / (time.perf_counter() - began)


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
    ranks, times = [], []
    for fact in facts:
        began = time.process_time()
        places = list(search(fact.question))
        times.append(time.process_time() - began)
        ranks.append(places.index((fact.file, fact.page)) + 1 if (fact.file, fact.page) in places else 0)
    found = {f"recall_at_{most}": sum(0 < rank <= most for rank in ranks) / len(ranks) for most in (1, 3, 10)}
    times.sort()
    return found | {
        "mrr": statistics.fmean(1 / rank if rank else 0 for rank in ranks),
        "cpu_ms_median": 1000 * times[len(times) // 2],
        "cpu_ms_p95": 1000 * times[int(len(times) * 0.95)],
    }


def measured(count: int, peer: Callable[[int], Callable[[str], list[Place]]] | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        before = _resident_mib()
        collection, facts, pages_per_s = filled(Path(folder), count)
        asked = facts[:: max(1, len(facts) // QUESTIONS)][:QUESTIONS]
        collection.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = sum(path.stat().st_size for path in Path(folder).glob("words.sqlite*"))
        result: dict[str, Any] = {"pages": count, "pages_per_s": pages_per_s, "bytes_a_page": size / count}
        result |= recalled(
            lambda question: [(h.page.file, h.page.number) for h in find(collection, question, 10)], asked
        )
        hits = [(fact, find(collection, fact.question, 5)) for fact in asked]
        result["answered"] = sum(enough(found) for _, found in hits) / len(hits)
        result["cited_right"] = sum(_cites(fact, found) for fact, found in hits) / len(hits)
        strangers = unanswerable(UNANSWERABLE)
        result["refused"] = sum(not enough(find(collection, each, 5)) for each in strangers) / len(strangers)
        near = beside(UNANSWERABLE, count)
        result["refused_beside"] = sum(not enough(find(collection, each, 5)) for each in near) / len(near)
        result["resident_mib"] = _resident_mib() - before
        collection.close()
    if peer:
        began = time.perf_counter()
        search = peer(count)
        result["peer"] = {"pages_per_s": count / (time.perf_counter() - began), **recalled(search, asked)}
    return result


def _cites(fact: Fact, hits: Any) -> bool:
    """Whether an answer that names no page would get the right one, as the scripted engine's does."""
    best = best_supported("", hits) if enough(hits) else None
    return best is not None and (best.file, best.page) == (fact.file, fact.page)


def _resident_mib() -> float:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


def llama_index(count: int) -> Callable[[str], list[Place]]:
    """LlamaIndex: in-memory store, BM25 retriever, English stemming, its usual settings."""
    from llama_index.core.schema import TextNode
    from llama_index.retrievers.bm25 import BM25Retriever

    nodes = [
        TextNode(
            text="\n".join(passage.text for passage in sheet.page.passages),
            metadata={"file": sheet.file, "page": sheet.page.number},
        )
        for sheet in sheets(count)
    ]
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=10)
    return lambda question: [
        (found.node.metadata["file"], found.node.metadata["page"]) for found in retriever.retrieve(question)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", default="1000,10000,100000")
    parser.add_argument("--peer", type=Path, help="folder that LlamaIndex is installed in")
    parser.add_argument("--peer-pages", type=int, default=10_000, help="largest corpus that the peer gets")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    peer = None
    if given.peer:
        sys.path.append(str(given.peer))
        peer = llama_index
    results = []
    for count in map(int, given.pages.split(",")):
        results.append(measured(count, peer if count <= given.peer_pages else None))
        print({name: round(value, 4) if isinstance(value, float) else value for name, value in results[-1].items()})
    if given.out:
        write("knowledge", {"results": results}, given.out)


if __name__ == "__main__":
    main()
