"""LlamaIndex as the peer: BM25 over its in-memory store, its vector index, and both by its own reciprocal ranks.

Installed by itself: `pip install --target FOLDER llama-index-core llama-index-retrievers-bm25`, and FOLDER on the path.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qwen_demo.media import PageText

Place = tuple[str, int]
Search = Callable[[str], list[Place]]
Embedding = Callable[[Sequence[str], bool], list[list[float]]]
"""Texts, and whether they are questions -> a vector each."""
MOST = 10


def by_words(pages: Iterable[tuple[str, PageText]]) -> Search:
    """English stemming, its usual settings."""
    return _search(_words(_nodes(pages)))


def by_vectors(pages: Iterable[tuple[str, PageText]], embed: Embedding) -> tuple[Search, Search]:
    """The vector index alone, and with BM25. Nodes get their vectors from `embed`, as other models' would."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever

    nodes = _nodes(pages)
    vectors = VectorStoreIndex(nodes, embed_model=_model(embed)).as_retriever(similarity_top_k=MOST)
    # One query, the question itself, so that no model is asked for more of them.
    both = QueryFusionRetriever(
        [vectors, _words(nodes)],
        llm=MockLLM(),
        similarity_top_k=MOST,
        num_queries=1,
        mode="reciprocal_rerank",
        use_async=False,
    )
    return _search(vectors), _search(both)


def _nodes(pages: Iterable[tuple[str, PageText]]) -> list[Any]:
    from llama_index.core.schema import TextNode

    return [
        TextNode(
            text="\n".join(passage.text for passage in page.passages), metadata={"file": file, "page": page.number}
        )
        for file, page in pages
    ]


def _words(nodes: list[Any]) -> Any:
    from llama_index.retrievers.bm25 import BM25Retriever

    return BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=MOST)


def _search(retriever: Any) -> Search:
    return lambda question: [
        (found.node.metadata["file"], found.node.metadata["page"]) for found in retriever.retrieve(question)
    ]


def _model(embed: Embedding) -> Any:
    from llama_index.core.embeddings import BaseEmbedding

    class Model(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return embed([query], True)[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return embed([text], False)[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return embed(texts, False)

    return Model(model_name="the same", embed_batch_size=4)
