"""What goes wrong while a model is loaded ends in a message with a remedy, whichever library raised it."""

import shutil

import pytest

from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.errors import ModelLoadError
from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.models.load import load
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings


@pytest.fixture
def damaged(tmp_path):
    """A checkpoint one of whose shards is cut short."""
    folder = tmp_path / "damaged"
    shutil.copytree(EMBEDDED_DIR, folder)
    shard = folder / "model-00002-of-00004.safetensors"
    shard.write_bytes(shard.read_bytes()[:1000])
    return folder


def test_a_damaged_shard_is_a_load_error(damaged):
    with pytest.raises(ModelLoadError, match=r"could not be loaded: .*\. Its files are damaged") as told:
        load(Settings(model=str(damaged)))
    assert "network" not in str(told.value)


@pytest.mark.parametrize(
    ("wanted", "helps"),
    [({"device_map": "cuda:99"}, "--device-map cuda:99"), ({"attention": "flash_attention_2"}, "--attention sdpa")],
)
def test_what_this_machine_lacks_is_no_damage_of_the_embedded_model(wanted, helps):
    with pytest.raises(ModelLoadError, match=helps):
        load(Settings(model="embedded", **wanted))


async def test_a_damaged_shard_fails_the_service_and_not_in_silence(damaged):
    settings = Settings(model=str(damaged))
    service = Service(settings, GenerateEngine(settings))
    service.start()
    await service.loaded()
    assert service.status().state == "failed" and service.is_lost
    assert isinstance(service.failure, ModelLoadError)
    await service.close()
