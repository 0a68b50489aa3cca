"""An engine behind a Triton Inference Server (deploy/triton) as an `Engine`: the front's side, over gRPC."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from qwen_demo.engines.triton import wire
from qwen_demo.errors import EngineFailed, ModelLoadError, NotReady, QwenDemoError, SettingsError
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Event, Finished, Health, ModelInfo

log = logging.getLogger(__name__)

MODEL, CONTROL = "qwen_demo", "qwen_demo_control"
CHECK_EVERY_S = 1.0
CHECK_TIMEOUT_S = 5.0


class Lost(Exception):
    """The server cannot be reached, or refuses."""


class Link(Protocol):
    """The way to a host. `answer` and `control` raise `Lost`."""

    def answer(self, request: bytes, pixels: Sequence[bytes]) -> AsyncGenerator[bytes, None]: ...

    async def control(self, request: bytes) -> bytes: ...

    async def close(self) -> None: ...


class TritonEngine:
    """Forwards requests to the server of `--base-url`.

    Args:
        link: makes the way there from its address, `host:port`.
    """

    def __init__(self, settings: Settings, link: Callable[[str], Link] | None = None):
        if len(settings.base_url) != 1:
            raise SettingsError("--engine triton needs one --base-url, such as 127.0.0.1:8001 (Triton's port of gRPC)")
        self._address = settings.base_url[0].removeprefix("http://").removeprefix("grpc://").rstrip("/")
        self._make, self._link = link or _grpc_link, None
        self._front = uuid.uuid4().hex
        self._state = "starting"
        self._told = Health(False)
        self._running = self._waiting = 0
        self._watching: asyncio.Task[None] | None = None
        self.info = ModelInfo(model_id=settings.model, engine="triton")

    _link: Link | None

    async def start(self) -> None:
        """Raises `ModelLoadError` when the server does not answer."""
        self._link = self._make(self._address)
        try:
            self._told, info = wire.decode_state(await self._control())
        except Lost as error:
            await self.close()
            raise ModelLoadError(f"Triton at {self._address} does not answer: {error}. Start deploy/triton.") from error
        reason = Sentence("served by {servers}", servers=f"Triton at {self._address}")
        self.info = replace(info, reason=reason, engine="triton")
        self._state = "ready"
        self._watching = asyncio.create_task(self._watch())

    def health(self) -> Health:
        ready = self._state == "ready" and self._told.ready
        detail = self._state if self._state != "ready" else self._told.detail
        return Health(ready, self._running, self._waiting, detail, self._told.slots, self._told.stats)

    async def close(self) -> None:
        self._state = "closed"
        if self._watching:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._link:
            await self._link.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        if self._state != "ready" or self._link is None:
            raise NotReady(f"The model is not ready: {self._state}.")
        call, over, begun = uuid.uuid4().hex, False, False
        self._waiting += 1
        try:
            body, pixels = await asyncio.to_thread(wire.encode_request, request)
            data = json.dumps(body | {"call": call, "front": self._front}).encode()
            async for answer in self._link.answer(data, pixels):
                event = wire.decode_event(answer)
                over = isinstance(event, QwenDemoError | Finished)
                if not begun:
                    begun = True
                    self._waiting, self._running = self._waiting - 1, self._running + 1
                if isinstance(event, QwenDemoError):
                    raise event
                yield event
            if not over:
                raise EngineFailed(f"Triton at {self._address} ended its answer without a reason.")
        except Lost as error:
            raise EngineFailed(f"The connection to Triton at {self._address} broke: {error}") from error
        finally:
            if not over:
                await self._cancel(call)
            if begun:
                self._running -= 1
            else:
                self._waiting -= 1

    async def _cancel(self, call: str) -> None:
        """Returns when its slot is free. A server that is not there has nothing to free."""
        try:
            await self._control(cancel=call)
        except Lost as error:
            log.warning("Triton at %s was not told that a call has ended: %s", self._address, error)

    async def _control(self, **more: str) -> bytes:
        assert self._link is not None
        return await self._link.control(json.dumps({"front": self._front, **more}).encode())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                self._told, _ = wire.decode_state(await self._control())
            except (Lost, QwenDemoError, LookupError, TypeError, ValueError) as error:
                self._told = Health(False, detail=f"Triton at {self._address} does not answer: {error}")


def _grpc_link(address: str) -> Link:
    try:
        from qwen_demo.engines.triton.grpc_link import GrpcLink
    except (ImportError, RuntimeError) as error:  # the client raises the latter where a part of it is missing
        raise SettingsError(
            "--engine triton needs the package tritonclient[grpc], see docs/deploy-triton.md"
        ) from error
    return GrpcLink(address)
