"""What the routes of collections read and give."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StrictBool, model_validator

from qwen_demo.api.idle_fields import A_NUMBER, Strict
from qwen_demo.knowledge.citations import Citation
from qwen_demo.knowledge.entries import FileEntry
from qwen_demo.knowledge.finding import Hit
from qwen_demo.knowledge.knowledge import MOST_TOP_K, CollectionState

USUAL_TOP_K = 5
TopK = Annotated[int, Field(ge=1, le=MOST_TOP_K), A_NUMBER]


class SearchRequest(Strict):
    query: Annotated[str, Field(min_length=1, max_length=4000)]
    top_k: TopK = USUAL_TOP_K


class CollectionChange(Strict):
    name: str | None = None
    reading: StrictBool | None = Field(None, description="false leaves off reading its files, true goes on")

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if self.name is None and self.reading is None:
            raise ValueError("Say name, reading or both")
        return self


class CollectionFileBody(BaseModel):
    object: Literal["knowledge.file"] = "knowledge.file"
    id: str
    file: str
    bytes: int
    state: Literal["waiting", "reading", "stopped", "ready", "failed"]
    pages: int = Field(description="0 until it is known")
    pages_done: int
    problem: str | None = Field(description="what is wrong with the file, or with some of its pages")
    created_at: int

    @classmethod
    def of(cls, entry: FileEntry) -> "CollectionFileBody":
        return cls(
            id=entry.name,
            file=entry.name,
            bytes=entry.size,
            state=entry.state,  # type: ignore[arg-type]  # one of these: the database has no other
            pages=entry.pages,
            pages_done=entry.pages_done,
            problem=entry.problem or None,
            created_at=int(entry.added),
        )


class CollectionBody(BaseModel):
    object: Literal["knowledge.collection"] = "knowledge.collection"
    id: str
    name: str
    state: Literal["reading", "stopped", "ready"]
    pages: int
    pages_done: int
    files: list[CollectionFileBody]

    @classmethod
    def of(cls, found: CollectionState) -> "CollectionBody":
        return cls(
            id=found.name,
            name=found.name,
            state=found.state,  # type: ignore[arg-type]  # one of these
            pages=found.pages,
            pages_done=found.pages_done,
            files=[CollectionFileBody.of(entry) for entry in found.files],
        )


class CollectionList(BaseModel):
    object: Literal["list"] = "list"
    data: list[CollectionBody]


class FileList(BaseModel):
    object: Literal["list"] = "list"
    data: list[CollectionFileBody]


class Removed(BaseModel):
    id: str
    deleted: Literal[True] = True


class CitationBody(BaseModel):
    """A page that an answer leans on."""

    file: str
    page: int
    text: str
    boxes: list[list[float]] = Field(description="x1, y1, x2, y2 in parts of the page's width and height")

    @classmethod
    def of(cls, found: Citation) -> "CitationBody":
        return cls(file=found.file, page=found.page, text=found.text, boxes=found.boxes)


class ResultBody(BaseModel):
    file: str
    page: int
    score: float
    text: str
    boxes: list[list[float]] = Field(description="x1, y1, x2, y2 in parts of the page's width and height")

    @classmethod
    def of(cls, hit: Hit) -> "ResultBody":
        boxes = [list(passage.box) for passage in hit.marked if passage.box]
        return cls(file=hit.page.file, page=hit.page.number, score=hit.score, text=hit.text, boxes=boxes)


class SearchResults(BaseModel):
    results: list[ResultBody]
