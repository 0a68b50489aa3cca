"""The store that `--vector-store` names. Only the one that is named is imported."""

from qwen_demo.errors import SettingsError
from qwen_demo.knowledge.vectors.sqlite import SqliteStore
from qwen_demo.knowledge.vectors.store import VectorStore
from qwen_demo.settings import Settings


def store_of(settings: Settings) -> VectorStore:
    """Raises `SettingsError`: its package or address is not there."""
    if settings.vector_store == "lancedb":
        from qwen_demo.knowledge.vectors.lance import LanceStore

        return LanceStore(settings.vector_store_url)
    if settings.vector_store == "qdrant":
        from qwen_demo.knowledge.vectors.qdrant import QdrantStore

        key = settings.vector_store_key.get_secret_value() if settings.vector_store_key else ""
        return QdrantStore.at(settings.vector_store_url, key)
    if settings.vector_store_url:
        raise SettingsError("--vector-store-url says where LanceDB or Qdrant is; choose one with --vector-store.")
    return SqliteStore()
