"""Who makes vectors, as `--embedding-url` and `--embedding-model` say; nobody where neither is given."""

from qwen_demo.engines.embedding.process import EmbeddingSetup
from qwen_demo.knowledge.embedding.embedder import Embedder
from qwen_demo.knowledge.embedding.own import OwnEmbedder
from qwen_demo.knowledge.embedding.remote import RemoteEmbedder
from qwen_demo.settings import Settings


def embedder_of(settings: Settings) -> Embedder | None:
    if settings.embedding_url:
        key = settings.embedding_key.get_secret_value() if settings.embedding_key else ""
        return RemoteEmbedder(
            settings.embedding_url,
            settings.embedding_model,
            key,
            prefixes={"question": settings.embedding_query_prefix, "passage": settings.embedding_passage_prefix},
        )
    if not settings.embedding_model:
        return None
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    return OwnEmbedder(
        EmbeddingSetup(
            settings.embedding_model,
            settings.embedding_revision,
            token,
            settings.embedding_threads,
            settings.embedding_query_prefix or None,
            settings.embedding_passage_prefix or None,
        )
    )
