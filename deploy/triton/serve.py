"""Our engine as a decoupled model of a Triton Inference Server, by PyTriton. See docs/deploy-triton.md.

deploy/triton/serve.sh --port 8001 -- --engine batching --model auto
"""

import argparse
import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import numpy as np
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig, TritonSecurityConfig

from qwen_demo.engines.triton.engine import CONTROL, MODEL
from qwen_demo.engines.triton.host import TritonHost
from qwen_demo.server.engines import build_hosted
from qwen_demo.settings import load_settings

Answers = list[dict[str, np.ndarray]]


class EngineThread:
    """The event loop that the engine belongs to; PyTriton calls its models on others."""

    def __init__(self, host: TritonHost):
        self._host = host
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="engine", daemon=True).start()

    def run(self, made: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(made, self._loop).result()

    async def _there(self, made: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(made, self._loop))

    async def answer(self, requests: list[Any]) -> AsyncGenerator[Answers, None]:
        """Triton gives one request at a time, as the model does not batch."""
        request = requests[0]
        pixels = [bytes(each) for each in request["pixels"].ravel()] if "pixels" in request else []
        events = self._host.answer(bytes(request["request"].ravel()[0]), pixels)
        try:
            while (event := await self._there(_next(events))) is not None:
                yield [{"event": np.array([event], dtype=np.object_)}]
        finally:
            await self._there(events.aclose())

    async def control(self, requests: list[Any]) -> Answers:
        state = await self._there(self._host.control(bytes(requests[0]["request"].ravel()[0])))
        return [{"state": np.array([state], dtype=np.object_)}]


async def _next(events: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(events, None)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="of gRPC")
    parser.add_argument("--http-port", type=int, default=8000)
    parser.add_argument("--metrics-port", type=int, default=8002)
    parser.add_argument("settings", nargs="*", help="after --: those of the program, such as --engine and --model")
    options = parser.parse_args(argv)
    host = TritonHost(build_hosted(load_settings(options.settings)))
    thread = EngineThread(host)
    thread.run(host.start())
    config = TritonConfig(
        http_address=options.host,
        http_port=options.http_port,
        grpc_address=options.host,
        grpc_port=options.port,
        metrics_address=options.host,
        metrics_port=options.metrics_port,
    )
    words = Tensor(name="request", dtype=bytes, shape=(1,))
    pixels = Tensor(name="pixels", dtype=bytes, shape=(-1,), optional=True)
    # Loading and unloading of models stays closed; statistics are for everybody who reaches the port.
    security = TritonSecurityConfig(restricted_endpoints=["model-repository", "shared-memory", "trace", "logging"])
    with Triton(config=config, security_config=security) as triton:
        event, state = (Tensor(name=name, dtype=bytes, shape=(1,)) for name in ("event", "state"))
        triton.bind(MODEL, thread.answer, [words, pixels], [event], config=ModelConfig(batching=False, decoupled=True))
        triton.bind(CONTROL, thread.control, [words], [state], config=ModelConfig(batching=False))
        triton.serve()
    thread.run(host.close())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
