"""Shared by all tests: images, one loaded embedded model, a running program, settings without the machine's own."""

import asyncio
import gc
import os
from contextlib import aclosing

import hypothesis
import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis.internal.conjecture import providers

from qwen_demo.media import MediaLoader
from qwen_demo.raster import Raster
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text
from tests.servers import ROOT, shared

__all__ = ["ROOT"]

# The workers of a run keep all processors busy: more threads would wait for each other, and spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Other work may have the processors; and what is tried is the same on every machine, in every run.
hypothesis.settings.register_profile(
    "patient",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")
# Hypothesis draws constants out of those modules of ours that are loaded, which hangs on the other tests of a worker.
assert hasattr(providers, "_get_local_constants"), "another Hypothesis: find where it collects constants"
NO_CONSTANTS = providers.Constants()
providers._get_local_constants = lambda: NO_CONSTANTS


def pytest_collection_finish():
    """What was imported stays: looking through all of it for garbage, time and again, would find none."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def no_files_of_this_machine(tmp_path_factory):
    """Collections and the remembered model of whoever runs the tests are not there, and stay as they are."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
            monkeypatch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("QWEN_DEMO_", "GRADIO_", "SPACE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture
def settings() -> Settings:
    return Settings(model="embedded", max_running=8)


@pytest.fixture
async def loader(settings):
    """Opens files within the limits of `settings`, in one decoder."""
    async with aclosing(MediaLoader.of(settings.model_copy(update={"decoders": 1}))) as loader:
        yield loader


@pytest.fixture(scope="session")
def loaded():
    """The embedded model, loaded once for all tests that need weights."""
    from qwen_demo.models.load import load

    return load(Settings(model="embedded", threads=1))


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    """The program on the embedded model, started once for all tests of all workers that only ask it."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with shared(folder, "embedded", "--model", "embedded", "--max-running", "8") as server:
        yield server


def draw(colour: str = "red", size: tuple[int, int] = (336, 336)) -> PIL.Image.Image:
    """A disc of `colour` on white."""
    image = PIL.Image.new("RGB", size, "white")
    side = min(size)
    PIL.ImageDraw.Draw(image).ellipse((side // 5, side // 5, side * 3 // 5, side * 3 // 5), fill=colour)
    return image


def image(colour: str = "red", size: tuple[int, int] = (336, 336)) -> Image:
    return Image(Raster.of(draw(colour, size)), f"{colour}-{size}", colour)


def question(text: str, *images: Image, **sampling) -> ChatRequest:
    return ChatRequest((Message("user", (*images, Text(text))),), Sampling(**{"max_new_tokens": 32, **sampling}))


async def until(condition, timeout_s: float = 60.0) -> None:
    """Wait for a condition that another task or thread brings about."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 the other side may be a thread
            await asyncio.sleep(0.005)
