"""Collections in a folder of the test's own, and the scripted engine behind them."""

import contextlib

import pytest_asyncio

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.knowledge.knowledge import Knowledge
from qwen_demo.media import DecoderPool, MediaLoader, MemoryBudget
from qwen_demo.service.service import Service
from qwen_demo.settings import MIB, Settings

OK = Script(["ok"])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def decoders():
    pool = DecoderPool(2)
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="session")
async def make(decoders, tmp_path):
    """`await make(Script(...), max_knowledge_bytes=...)`: collections under `tmp_path`, and `.engine` behind them."""
    async with contextlib.AsyncExitStack() as stack:

        async def made(script: Script = OK, **settings) -> Knowledge:
            limits = Settings(knowledge_dir=tmp_path / "knowledge", warmup=False, canary_s=0, **settings)
            engine = ScriptedEngine(script)
            service = Service(limits, engine)
            service.start()
            await service.loaded()
            stack.push_async_callback(service.close)
            loader = MediaLoader(limits, MemoryBudget(512 * MIB), decoders)
            knowledge = Knowledge(limits, loader, service)
            knowledge.engine = engine
            await knowledge.start()
            stack.push_async_callback(knowledge.close)
            return knowledge

        yield made
