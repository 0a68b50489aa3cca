"""A real Triton Inference Server with the scripted engine in it."""

import asyncio
import json
import os
import subprocess
import urllib.request
from dataclasses import replace

import pytest

from benchmarks.proxy import free_ports
from qwen_demo.engines.triton.engine import CONTROL, MODEL, TritonEngine
from qwen_demo.errors import ModelLoadError
from qwen_demo.settings import Settings
from qwen_demo.types import collect
from tests.conftest import ROOT, image, question
from tests.tools import ToolMissing

STARTS_S = 240.0  # the first time with an installation


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    """Ports of gRPC, HTTP and metrics of a server of its own."""
    if not os.access("/usr/bin/python3.11", os.X_OK):
        raise ToolMissing("Triton needs Debian's Python 3.11: apt-get install python3.11-venv libpython3.11")
    found = free_ports(3)
    names = ("--port", "--http-port", "--metrics-port")
    flags = [word for name, port in zip(names, found, strict=True) for word in (name, str(port))]
    said = (tmp_path_factory.mktemp("triton") / "log").open("w+")
    command = [ROOT / "deploy" / "triton" / "serve.sh", *flags, "--", "--engine", "scripted"]
    server = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield found, server, said
    finally:
        server.terminate()
        server.wait(60)
        said.close()


async def started(address: str, server: subprocess.Popen, said) -> TritonEngine:
    async with asyncio.timeout(STARTS_S):
        while True:
            engine = TritonEngine(Settings(engine="triton", base_url=(address,)))
            try:
                await engine.start()
                return engine
            except ModelLoadError:
                if server.poll() is not None:
                    said.seek(0)
                    raise AssertionError(said.read()[-4000:]) from None
                await asyncio.sleep(0.5)


def asked(url: str, body: dict | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as reply:
        return reply.read()


@pytest.mark.slow
async def test_triton_streams_several_answers_stops_them_and_tells_its_health_and_statistics(ports):
    (grpc_port, http_port, metrics_port), *running = ports
    engine = await started(f"127.0.0.1:{grpc_port}", *running)
    answers = await asyncio.gather(
        *[collect(engine.stream(question(f"one two three {n}", image(), max_new_tokens=3))) for n in range(8)]
    )
    assert [answer.text for answer in answers] == ["one two three "] * 8
    assert all(answer.finished.reason == "length" and answer.finished.usage.image_tokens for answer in answers)

    long = engine.stream(replace(question("word " * 2000, max_new_tokens=2000), repetition_guard=False))
    await anext(long)
    control = f"http://127.0.0.1:{http_port}/v2/models/{CONTROL}/infer"
    tensor = {"name": "request", "shape": [1], "datatype": "BYTES", "data": ["{}"]}

    def in_engine() -> int:
        told = json.loads(asked(control, {"inputs": [tensor]}))["outputs"][0]["data"][0]
        return json.loads(told)["health"]["running"]

    assert await asyncio.to_thread(in_engine) == 1
    await long.aclose()
    assert await asyncio.to_thread(in_engine) == 0
    await asyncio.to_thread(asked, f"http://127.0.0.1:{http_port}/v2/health/ready")
    told = json.loads(await asyncio.to_thread(asked, f"http://127.0.0.1:{http_port}/v2/models/{MODEL}/stats"))
    assert told["model_stats"][0]["name"] == MODEL
    metrics = await asyncio.to_thread(asked, f"http://127.0.0.1:{metrics_port}/metrics")
    assert f'nv_inference_request_success{{model="{MODEL}"'.encode() in metrics
    await engine.close()
