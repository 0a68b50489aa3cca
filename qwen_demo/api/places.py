"""`POST /v1/points/places`: where in a point cloud or 3D model an answer's boxes and points are. Asks no model."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BeforeValidator, Field

from qwen_demo.answers.places import places
from qwen_demo.api import openapi
from qwen_demo.api.convert import named
from qwen_demo.api.idle_fields import Area, Strict
from qwen_demo.api.parts import ModelUrl, as_url
from qwen_demo.http.access import ApiAccess, Caller
from qwen_demo.media import MediaLoader
from qwen_demo.models.pixels import seen_views
from qwen_demo.points import exports
from qwen_demo.service.service import Service
from qwen_demo.types import Points

MOST_CHARACTERS = 50_000
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


class PlacesRequest(Strict):
    """The model as it was asked about, and the answer."""

    model_url: Annotated[ModelUrl, BeforeValidator(as_url, json_schema_input_type=str | ModelUrl)]
    answer: Annotated[str, Field(max_length=MOST_CHARACTERS)]
    max_pixels: Area | None = None
    format: Literal["json", "csv"] = "json"


def add_places(router: APIRouter, service: Service, access: ApiAccess, loader: MediaLoader) -> None:
    @router.post("/v1/points/places", responses=openapi.ASKING | _CSV, tags=["answers"], response_model=dict[str, Any])
    async def places_of_answer(
        asked: PlacesRequest,
        caller: Caller = Depends(access),  # noqa: B008 FastAPI's way
    ) -> Response:
        """What the boxes and points of an answer mark, as rays, places and 3D boxes; joined across views."""
        with named("model_url"):
            points = await loader.load_url(asked.model_url.url, kind="points", clip=asked.model_url.viewing)
        assert isinstance(points, Points)
        marks, things = places(asked.answer, points, seen_views(points, service.status().model, asked.max_pixels))
        if asked.format == "csv":
            return PlainTextResponse(exports.as_csv(things, marks), media_type="text/csv; charset=utf-8")
        return JSONResponse(exports.document(points, things, marks))
