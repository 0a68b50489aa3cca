"""The REST API without the page, for servers that start the app by themselves. Knows nothing of Ray."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from qwen_demo import __version__
from qwen_demo.api.openapi import correct as correct_openapi
from qwen_demo.api.routes import build_router
from qwen_demo.http.access import ApiAccess
from qwen_demo.http.arrival import Arrival, OwnCalls
from qwen_demo.http.cors import add_cors
from qwen_demo.http.errors import install as install_errors
from qwen_demo.http.head import HeadAsGet
from qwen_demo.http.middleware import BoundedBody, RequestId, SecurityHeaders
from qwen_demo.media import MediaLoader
from qwen_demo.server.engines import build_engine
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings


def rest_api(settings: Settings) -> FastAPI:
    """The API without the page. It has started when the model answers; raises what keeps it from loading."""
    service = Service(settings, build_engine(settings))
    loader = MediaLoader.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        await service.loaded()
        if service.failure:
            raise service.failure
        yield
        # Ray has let running answers end, graceful_shutdown_timeout_s at most.
        await service.close()
        await loader.aclose()

    app = FastAPI(title="Qwen2.5-VL", version=__version__, lifespan=lifespan)
    app.state.service = service
    install_errors(app)
    app.include_router(build_router(service, ApiAccess(settings), loader))
    correct_openapi(app)
    app.add_middleware(
        BoundedBody,
        paths=("/v1/", "/inference"),
        max_bytes=settings.max_request_bytes,
        timeout_s=settings.body_timeout_s,
        budget=loader.budget,
    )
    add_cors(app, settings.cors_origins)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Arrival, settings=settings, own_calls=OwnCalls())
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestId)
    return app
