"""Two engines in one program, to be compared on the page."""

import socket

import pytest

from qwen_demo.engines.scripted import ScriptedEngine
from qwen_demo.errors import ModelLoadError, SettingsError
from qwen_demo.models.load import load_beside
from qwen_demo.server import app as building
from qwen_demo.server import engines, run
from qwen_demo.server.listening import listening_socket
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ModelInfo, collect
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.panels.compare import compare
from tests.conftest import draw, image, question


@pytest.mark.slow
async def test_both_engines_have_the_model_and_answer_and_end_together(loader, tmp_path):
    app = building.build_app(
        Settings(
            model="embedded", compare_engine="generate", compare_quantization="nf4", upload_dir=tmp_path, warmup=False
        )
    )
    first, second = services = app.state.services
    async with app.router.lifespan_context(app):
        await second.loaded()
        assert not first.failure and not second.failure
        models = [service.status().model for service in services]
        assert [(m.model_id, m.engine, m.quantization) for m in models] == [
            ("embedded", "batching", "none"),
            ("embedded", "generate", "nf4"),
        ]
        assert [compare.label(service.status()) for service in services] == [
            "batching, float32, CPU",
            "generate, float32, NF4, CPU",
        ]
        draw("red").save(tmp_path / "red.png")
        asked = {"text": "What color is the circle?", "files": [str(tmp_path / "red.png")]}
        choices = [compare.SideChoice("first"), compare.SideChoice("second")]
        async for value in compare.answers(asked, choices, services, Reader(loader, [tmp_path])):
            last = value
        assert all("red" in side["text"] for side in last["sides"])
        assert [side["settings"]["engine"] for side in last["sides"]] == [compare.label(s.status()) for s in services]
        assert len(last["timings"]["rows"]) > 10
        assert "red" in (await collect(first.answer(question("What color is the circle?", image())))).text
    assert {service.status().state for service in services} == {"closing"}
    assert not any(service._engine.health().ready for service in services)


def test_one_engine_is_all_there_is_unless_asked():
    assert engines.build_compared(Settings(model="embedded"), object()) is None


@pytest.mark.parametrize("quantization", ["none", "auto"])
def test_a_second_engine_that_would_be_the_first_again_is_refused_before_it_loads(quantization):
    first = ModelInfo(model_id="embedded", engine="batching", quantization="none")
    told = []
    with pytest.raises(ModelLoadError, match="the same as the first: batching, quantisation none"):
        load_beside(lambda: first)(Settings(engine="batching", quantization=quantization), told.append)
    assert not told


async def test_a_second_engine_that_cannot_be_loaded_ends_the_program_with_the_reason(monkeypatch, capsys):
    class Broken(ScriptedEngine):
        async def start(self):
            raise ModelLoadError("It needs more memory than is free.")

    monkeypatch.setattr(building, "build_compared", lambda settings, first: Service(settings, Broken()))
    settings = Settings(engine="scripted", port=0, warmup=False, grace_s=0)
    assert await run._serve(settings, listening_socket(settings)) == 1
    assert "error: the second engine, to compare with: It needs more memory" in capsys.readouterr().err


def test_zerogpu_refuses_a_second_engine():
    with socket.socket() as unused, pytest.raises(SettingsError, match="ZeroGPU"):
        run._launch_on_zerogpu(Settings(model="embedded", compare_engine="batching"), unused)
