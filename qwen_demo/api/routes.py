"""The routes. Each reads its schema, asks the service, and writes what `convert.py` makes of the answer."""

import time
from collections.abc import AsyncGenerator
from json import JSONDecodeError
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from qwen_demo import __version__
from qwen_demo.api import convert, openapi
from qwen_demo.api.adapters import add_adapters
from qwen_demo.api.asking import collected, model_asked, streamed
from qwen_demo.api.bodies import FORM, route_class
from qwen_demo.api.knowledge.answers import FromDocuments
from qwen_demo.api.knowledge.routes import add_knowledge, owner_of
from qwen_demo.api.places import add_places
from qwen_demo.api.replicas import add_replicas, operators
from qwen_demo.api.responses.routes import add_responses
from qwen_demo.api.schemas import ChatCompletionRequest, InferenceRequest, InferenceResponse
from qwen_demo.api.unknown_paths import add_unknown_paths
from qwen_demo.errors import DiskFull, InvalidRequest, QwenDemoError
from qwen_demo.http.access import ApiAccess, Caller
from qwen_demo.http.effort import Effort
from qwen_demo.http.errors import UNEXPECTED, ApiError, body, describe
from qwen_demo.http.sse import event
from qwen_demo.knowledge.answering import CitedAnswer
from qwen_demo.knowledge.knowledge import Knowledge
from qwen_demo.media import MediaLoader
from qwen_demo.points.words import parts_of
from qwen_demo.service.pacing import PacedStream
from qwen_demo.service.service import Service
from qwen_demo.service.telemetry import request_id
from qwen_demo.types import ChatRequest, Finished

CHAT = "chat_completions"


def build_router(
    service: Service,
    access: ApiAccess,
    loader: MediaLoader,
    effort: Effort | None = None,
    knowledge: Knowledge | None = None,
) -> APIRouter:
    """All routes of the API on one service; those of collections where there are some.

    Args:
        effort: shared with whoever else reads bodies.
    """
    effort = effort or Effort()
    router = APIRouter(route_class=route_class(access, loader.settings.max_request_bytes, effort))
    _add_answers(router, service, access, loader, knowledge)
    if knowledge:
        add_knowledge(router, knowledge, access)
    add_responses(router, service, access, loader)
    add_places(router, service, access, loader)
    _add_operations(router, service, access)
    if service.settings.operator_keys_file:
        let_in = operators(service.settings)
        add_replicas(router, service, let_in)
        if service.settings.adapters_dir is not None:
            add_adapters(router, service, let_in, route_class(let_in, loader.settings.max_request_bytes, effort))
    add_unknown_paths(router)
    return router


def _add_answers(
    router: APIRouter, service: Service, access: ApiAccess, loader: MediaLoader, knowledge: Knowledge | None
) -> None:
    @router.post("/v1/chat/completions", responses=openapi.ASKING | openapi.CHAT, tags=["answers"])
    async def chat_completions(
        request: Request,
        asked: ChatCompletionRequest,
        caller: Caller = Depends(access),  # noqa: B008 FastAPI's way
    ) -> Response:
        """OpenAI's chat completions, with images as https: or data: URLs."""
        completion = convert.Completion(request_id(), model_asked(service, asked.model), asked.logprobs)
        making = convert.chat_request(asked, loader)
        usage = bool(asked.stream_options and asked.stream_options.include_usage)

        def chunks(events: PacedStream, cited: CitedAnswer | None = None) -> AsyncGenerator[bytes, None]:
            return _chunks(events, completion, usage, cited)

        if asked.knowledge:
            if knowledge is None:
                making.close()
                raise InvalidRequest("There are no collections here.", field="knowledge")
            documents = FromDocuments(knowledge, owner_of(access, caller), CHAT)
            if asked.stream:
                return await documents.streamed(service, asked, making, chunks)
            return await documents.whole(request, asked, making, completion)
        if asked.stream:
            return await streamed(service, making, CHAT, chunks, convert.opens_files(asked))
        answer = await collected(request, service, making, CHAT, convert.opens_files(asked))
        return JSONResponse(completion.whole(answer))

    @router.post(
        "/inference",
        responses=openapi.ASKING,
        tags=["answers"],
        openapi_extra={"requestBody": _inference_body()},
    )
    async def inference(request: Request, caller: Caller = Depends(access)) -> InferenceResponse:  # noqa: B008
        """One question about one image: JSON, or a multipart form with the image as a file."""
        began = time.perf_counter()
        answer = await collected(request, service, _read_inference(request, loader), "inference")
        return InferenceResponse(
            request_id=request_id(),
            response=answer.text,
            inference_time=round(time.perf_counter() - began, 4),
            token_count=answer.finished.usage.completion_tokens,
        )

    @router.get("/v1/models", responses=openapi.LOOKING, response_model=openapi.ModelList, tags=["answers"])
    async def models(caller: Caller = Depends(access)) -> dict[str, Any]:  # noqa: B008
        """The model that answers here, and the adapters that it answers with."""
        return {
            "object": "list",
            "data": [_model(service), *(_model(service, each) for each in service.adapters.known)],
        }

    @router.get("/v1/models/{name:path}", responses=openapi.LOOKING, response_model=openapi.ModelBody, tags=["answers"])
    async def model(name: str, caller: Caller = Depends(access)) -> dict[str, Any]:  # noqa: B008
        if name in service.adapters.known:
            return _model(service, name)
        if name != service.status().model.model_id:
            raise ApiError(404, "model_not_found", f"There is no model {name!r} here.")
        return _model(service)


def _add_operations(router: APIRouter, service: Service, access: ApiAccess) -> None:
    @router.get("/health", responses=openapi.HEALTH, tags=["operations"])
    async def health() -> Response:
        """503 where only a new start helps. Which model, on what, and how far it is."""
        status, lost = service.status(), service.is_lost
        model = status.model
        content = {
            "status": "failed" if lost else "ok",
            "detail": status.detail,
            "state": status.state,
            "model": model.model_id,
            "device": model.device,
            "quantization": model.quantization,
            "engine": model.engine,
            "version": __version__,
        }
        return JSONResponse(content, 503 if lost else 200)

    @router.get("/ready", responses=openapi.READY, tags=["operations"])
    async def ready() -> Response:
        """200 when a request sent now would be answered."""
        status = service.status()
        content = {
            "ready": status.state == "ready",
            "state": status.state,
            "detail": status.detail,
            "running": status.running,
            "waiting": status.waiting,
            "eta_s": round(service.eta_s(), 2),
        }
        return JSONResponse(content, 200 if content["ready"] else 503)

    @router.get("/metrics", responses=openapi.METRICS, response_class=PlainTextResponse, tags=["operations"])
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _chunks(
    events: PacedStream, completion: convert.Completion, include_usage: bool, cited: CitedAnswer | None
) -> AsyncGenerator[bytes, None]:
    """OpenAI's chunks; an error after the first one is an event of its own. Whoever sends them closes `events`."""
    yield event(completion.first())
    try:
        async for item in events:
            if isinstance(item, Finished):
                usage = event(completion.usage(item)) if include_usage else b""
                yield event(completion.last(item, cited)) + usage + event("[DONE]")
            elif item is not None:
                yield event(completion.piece(item))
    except QwenDemoError as error:
        yield event(describe(error)[1])
    except Exception:
        yield event(body(UNEXPECTED, "server_error", "internal_error"))
        raise


async def _read_inference(request: Request, loader: MediaLoader) -> ChatRequest:
    try:
        if not request.headers.get("content-type", "").startswith(FORM):
            return await convert.inference_request(InferenceRequest.model_validate(await request.json()), loader)
        async with request.form(max_files=1, max_fields=8, max_part_size=loader.settings.max_image_bytes) as form:
            fields = {key: value for key, value in form.items() if not isinstance(value, UploadFile)}
            files = {key: value for key, value in form.items() if isinstance(value, UploadFile)}
            asked = InferenceRequest.of_form(fields)
            if not files:
                return await convert.inference_request(asked, loader)
            ((name, upload),) = files.items()
            if name not in ("file", "image"):
                raise RequestValidationError([{"type": "extra_forbidden", "loc": ("body", name[:80]), "msg": ""}])
            if asked.image or asked.image_url:
                raise InvalidRequest("Give file, image or image_url, one of them.", field=name)
            data = await upload.read()
        with convert.named("file"):
            image = await loader.load_bytes(data, kind="image", name=upload.filename or "image")
        return convert.inference_question(asked, loader, *parts_of(image))
    except JSONDecodeError as error:
        raise RequestValidationError([{"type": "json_invalid", "loc": (), "msg": error.msg}]) from error
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    except OSError as error:
        if error.errno in DiskFull.numbers:
            raise DiskFull from error
        raise


def _model(service: Service, adapter: str = "") -> dict[str, Any]:
    model = service.status().model
    return {
        "id": adapter or model.model_id,
        "object": "model",
        "created": 0,
        "owned_by": "qwen-demo",
        "root": adapter or model.model_id,
        "parent": model.model_id if adapter else None,
        "merged_adapter": model.merged or None,
        "max_model_len": model.context_tokens,
        "min_pixels": model.min_pixels,
        "max_pixels": model.max_pixels,
    }


def _inference_body() -> dict[str, Any]:
    schema = InferenceRequest.model_json_schema()
    # All that a form holds is text, so nothing in it has the wrong type.
    texts = {name: {"title": member["title"]} for name, member in schema["properties"].items()}
    form = {**schema, "properties": texts | {"file": {"type": "string", "format": "binary"}}}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema}, FORM: {"schema": form}},
    }
