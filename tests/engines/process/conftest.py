"""Engines in processes of their own, which are gone when the test ends."""

import contextlib
from collections.abc import AsyncIterator

import pytest_asyncio

from qwen_demo.engines.process.engine import ProcessEngine
from qwen_demo.engines.process.supervisor import Bounds
from qwen_demo.settings import Settings

HERE = "tests.engines.process.scripts"
# Silence is long enough for a loaded machine; the tests wait for events.
QUICK = Bounds(silence_s=2.0, backoff_s=0.01)


def made(script: str = "Obedient", *arguments, bounds: Bounds = QUICK, **changes) -> ProcessEngine:
    settings = Settings(**{"model": "scripted", "max_running": 16, "warmup": False, **changes})
    return ProcessEngine(settings, f"{HERE}:{script}", arguments=lambda: arguments, bounds=bounds)


@contextlib.asynccontextmanager
async def started(*arguments, **options) -> AsyncIterator[ProcessEngine]:
    engine = made(*arguments, **options)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[ProcessEngine]:
    """One for all tests that leave it as they found it."""
    async with started() as engine:
        yield engine
