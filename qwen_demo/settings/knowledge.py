"""The settings of collections of documents: where they lie, how much they may hold, who turns words into vectors."""

import os
from pathlib import Path
from typing import Annotated

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
    embedding_url: Annotated[str | None, Usually("words alone")] = Field(
        None, description="OpenAI-compatible server, ending in /v1, whose /embeddings help to find pages"
    )
    embedding_model: Annotated[str, Usually("the server's own")] = Field(
        "", description="its model; with it, pages are found by words and by vectors"
    )
    embedding_key: Annotated[SecretStr | None, Usually("none")] = Field(None, description="key of that server")
