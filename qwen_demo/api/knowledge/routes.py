"""The routes of collections: each caller's own, and nobody else's."""

import asyncio
import io
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile

from qwen_demo.api import openapi
from qwen_demo.api.bodies import FORM
from qwen_demo.api.knowledge.schemas import (
    CollectionBody,
    CollectionChange,
    CollectionFileBody,
    CollectionList,
    FileList,
    Removed,
    ResultBody,
    SearchRequest,
    SearchResults,
)
from qwen_demo.http.access import ApiAccess, Caller
from qwen_demo.http.errors import ApiError
from qwen_demo.knowledge.knowledge import LOCAL, Knowledge
from qwen_demo.knowledge.shelf import NoFile

READ_WITHIN_S = 30.0  # a file that takes longer is told to be at it
_TAGS: list[Any] = ["documents"]
_WHERE = "/v1/knowledge/{collection}"
_UPLOAD = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
                "additionalProperties": False,
            }
        }
    },
}


def owner_of(access: ApiAccess, caller: Caller) -> str:
    """Whose collections they are: a key's. Where no keys are asked for, all callers share those of this machine."""
    return caller.name if access.needs_key else LOCAL


def add_knowledge(router: APIRouter, knowledge: Knowledge, access: ApiAccess) -> None:
    async def owner(request: Request, caller: Annotated[Caller, Depends(access)]) -> str:
        return owner_of(access, caller)

    # Bodies are read once it is known who asks: see `route_class`.
    allowed = [Depends(access)]
    _add_collections(router, knowledge, owner, allowed)
    _add_files(router, knowledge, owner, allowed)


def _add_collections(router: APIRouter, knowledge: Knowledge, owner: Any, allowed: list[Any]) -> None:
    who = Depends(owner)

    @router.get("/v1/knowledge", responses=openapi.LOOKING, tags=_TAGS, dependencies=allowed)
    async def collections(owner: str = who) -> CollectionList:
        """Your collections."""
        return CollectionList(data=[CollectionBody.of(each) for each in await knowledge.collections(owner)])

    @router.get(_WHERE, responses=openapi.LOOKING, tags=_TAGS, dependencies=allowed)
    async def collection(collection: str, owner: str = who) -> CollectionBody:
        """One of them, with its files and how far their reading is."""
        return CollectionBody.of(await knowledge.collection(owner, collection))

    @router.delete(_WHERE, responses=openapi.LOOKING | openapi.refusals(503), tags=_TAGS, dependencies=allowed)
    async def remove(collection: str, owner: str = who) -> Removed:
        """With all its files."""
        await knowledge.remove(owner, collection)
        return Removed(id=collection)

    @router.post(_WHERE, responses=openapi.ASKING, tags=_TAGS, dependencies=allowed)
    async def change(collection: str, asked: CollectionChange, owner: str = who) -> CollectionBody:
        """Give it another name; leave off reading its files, also over a restart, or go on where it was left."""
        if asked.reading is not None:
            await (knowledge.go_on if asked.reading else knowledge.stop)(owner, collection)
        if asked.name is not None:
            await knowledge.rename(owner, collection, asked.name)
        return CollectionBody.of(await knowledge.collection(owner, asked.name or collection))

    @router.post(f"{_WHERE}/search", responses=openapi.ASKING, tags=_TAGS, dependencies=allowed)
    async def search(collection: str, asked: SearchRequest, owner: str = who) -> SearchResults:
        """The pages that answer best, with the passages that do and their places."""
        hits = await knowledge.search(owner, collection, asked.query, asked.top_k)
        return SearchResults(results=[ResultBody.of(hit) for hit in hits])


def _add_files(router: APIRouter, knowledge: Knowledge, owner: Any, allowed: list[Any]) -> None:
    who = Depends(owner)

    @router.post(
        f"{_WHERE}/files",
        responses=openapi.ASKING | openapi.ADDING,
        response_model=CollectionFileBody,
        tags=_TAGS,
        dependencies=allowed,
        openapi_extra={"requestBody": _UPLOAD},
    )
    async def add(collection: str, request: Request, response: Response, owner: str = who) -> CollectionFileBody:
        """Add a file (`multipart/form-data`, field `file`); the first one makes the collection."""
        name, data = await _file_of(request)
        entry = await knowledge.add(owner, collection, name, data, READ_WITHIN_S)
        response.status_code = 202 if entry.state in ("waiting", "reading") else 200
        return CollectionFileBody.of(entry)

    @router.get(f"{_WHERE}/files", responses=openapi.LOOKING, tags=_TAGS, dependencies=allowed)
    async def files(collection: str, owner: str = who) -> FileList:
        found = await knowledge.collection(owner, collection)
        return FileList(data=[CollectionFileBody.of(entry) for entry in found.files])

    @router.get(
        f"{_WHERE}/files/{{file:path}}/pages/{{page}}",
        responses=openapi.LOOKING | openapi.PAGE,
        response_class=Response,
        tags=_TAGS,
        dependencies=allowed,
    )
    async def page(collection: str, file: str, page: str, owner: str = who) -> Response:
        """A page as JPEG."""
        drawn = await knowledge.page_image(owner, collection, file, int(page)) if _is_number(page) else None
        if drawn is None:
            raise NoFile(f"page {page[:20]!r} of {file!r} that can be drawn")
        return Response(await asyncio.to_thread(_jpeg, drawn.image.pixels), media_type="image/jpeg")

    @router.get(f"{_WHERE}/files/{{file:path}}", responses=openapi.LOOKING, tags=_TAGS, dependencies=allowed)
    async def file(collection: str, file: str, owner: str = who) -> CollectionFileBody:
        return CollectionFileBody.of(await knowledge.file(owner, collection, file))

    @router.delete(f"{_WHERE}/files/{{file:path}}", responses=openapi.LOOKING, tags=_TAGS, dependencies=allowed)
    async def remove_file(collection: str, file: str, owner: str = who) -> Removed:
        await knowledge.remove_file(owner, collection, file)
        return Removed(id=file)


async def _file_of(request: Request) -> tuple[str, bytes]:
    if not request.headers.get("content-type", "").startswith(FORM):
        raise ApiError(415, "unsupported_media_type", f"Send the file as {FORM}, in the field file.")
    async with request.form(max_files=1, max_fields=4) as form:
        for name in form:
            if name != "file":
                raise RequestValidationError([{"type": "extra_forbidden", "loc": ("body", name[:80]), "msg": ""}])
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestValidationError([{"type": "missing", "loc": ("body", "file"), "msg": ""}])
        return file.filename or "file", await file.read()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) < 7


def _jpeg(pixels: Any) -> bytes:
    file = io.BytesIO()
    pixels.save(file, "JPEG", quality=88)
    return file.getvalue()
