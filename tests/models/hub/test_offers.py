"""What the page offers, what each model would cost here, and what is refused before anything is fetched."""

import asyncio
import shutil

import numpy as np
import pytest
from safetensors.numpy import save

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import machine
from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.models.hub import survey
from qwen_demo.models.hub.catalog import GIB, KNOWN
from qwen_demo.models.hub.offers import Offers
from qwen_demo.models.hub.sizes import known_sizes, sizes_of
from qwen_demo.models.hub.survey import Estimate, Survey
from qwen_demo.settings import Settings
from tests.conftest import ROOT

SMALL, LARGE = "Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct"
FILES = {"config.json": b"{}", "model.safetensors": save({"weight": np.zeros(1000, np.float32)})}


def here(free_gib: float, **models: float) -> Survey:
    """A CPU with so much free memory, and models that need so much."""
    needed = {name.replace("__", "/"): Estimate(int(gib * GIB), 5.0, 9.0) for name, gib in models.items()}
    return Survey("cpu", "nf4", int(free_gib * GIB), 64 * GIB, needed)


def offers_on(monkeypatch, found: Survey, **settings) -> Offers:
    async def ask(models):
        return found

    monkeypatch.setattr(survey, "ask", ask)
    monkeypatch.setattr(machine, "available_memory", lambda: found.free_bytes)
    return Offers(Settings(**settings))


def test_the_embedded_the_published_and_the_operators_models_are_offered(empty_hub):
    offers = Offers(Settings(offer_models="somebody/Model, /models/mine ,embedded"))
    assert list(offers.models) == ["embedded", SMALL, LARGE, "somebody/Model", "/models/mine"]
    offer = {each.model: each for each in offers.look()}
    assert offer["embedded"].here and not offer[SMALL].here
    assert offer[SMALL].download_bytes == KNOWN[SMALL].download_bytes
    assert offer["somebody/Model"].download_bytes is None
    assert not empty_hub.asked, "looking asks nobody"


async def test_what_a_machine_can_do_is_asked_for_once_and_shown(empty_hub, monkeypatch):
    offers = offers_on(monkeypatch, here(9, embedded=1.0))
    assert offers.look()[0].needed_bytes is None
    first, second = await asyncio.gather(offers.survey(), offers.survey())
    assert first is second is offers.surveyed
    assert offers.look()[0].needed_bytes == GIB and offers.look()[0].tokens_per_s == 9.0


@pytest.mark.parametrize(
    ("free_gib", "held_gib", "room"), [(9.0, 0.0, "beside"), (7.0, 4.0, "instead"), (7.0, 0.5, None)]
)
async def test_a_model_goes_beside_the_present_one_or_in_its_place_or_nowhere(
    empty_hub, monkeypatch, free_gib, held_gib, room
):
    offers = offers_on(monkeypatch, here(free_gib, mine=8.0))
    if room:
        assert await offers.room("mine", int(held_gib * GIB)) == room
    else:
        with pytest.raises(ModelLoadError, match=r"needs about 8\.0 GiB.*there are 7\.5"):
            await offers.room("mine", int(held_gib * GIB))


async def test_on_a_gpu_the_present_model_makes_room_whatever_it_holds(empty_hub, monkeypatch):
    found = Survey("cuda:0", "nf4", GIB, 24 * GIB, {"mine": Estimate(9 * GIB), "huge": Estimate(30 * GIB)})
    offers = offers_on(monkeypatch, found)
    assert await offers.room("mine", 0) == "instead"
    with pytest.raises(ModelLoadError, match="needs about 30"):
        await offers.room("huge", 0)


async def test_on_a_machine_that_cannot_be_measured_models_change_places(empty_hub, monkeypatch):
    async def ask(models):
        raise ModelLoadError("no memory for a look at it")

    monkeypatch.setattr(survey, "ask", ask)
    assert await Offers(Settings()).room("mine", 0) == "instead"


async def test_of_a_model_that_nobody_knows_the_hub_tells_the_size_before_it_is_fetched(empty_hub, monkeypatch):
    empty_hub.files["somebody/Model"] = FILES
    offers = offers_on(monkeypatch, here(1e-7))
    assert await offers.room("somebody/Model", 0) == "beside", "nobody knows"
    with pytest.raises(ModelLoadError, match="somebody/Model needs about"):
        offers.download("somebody/Model", lambda progress: None)
    offers = offers_on(monkeypatch, here(1.0))
    await offers.survey()
    download = offers.download("somebody/Model", lambda progress: None)
    assert download is not None and download.listing.bytes > 4000
    download.run()
    assert offers.download("somebody/Model", lambda progress: None) is None, "its files are here now"


async def test_a_private_one_is_fetched_with_the_operators_token(empty_hub, monkeypatch):
    empty_hub.files["somebody/Model"] = FILES
    empty_hub.private.add("somebody/Model")
    with pytest.raises(ModelLoadError, match="private"):
        offers_on(monkeypatch, here(1.0)).download("somebody/Model", lambda progress: None)
    offers = offers_on(monkeypatch, here(1.0), hf_token=empty_hub.token)
    assert offers.download("somebody/Model", lambda progress: None) is not None


@pytest.mark.slow
async def test_a_process_of_its_own_finds_out_what_this_machine_can_do(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))  # as for `python /opt/qwen-demo/app.py` from another folder
    monkeypatch.chdir(tmp_path)
    found = await survey.ask(["embedded", SMALL])
    assert found.device == "cpu" and found.kind in ("nf4", "int4")
    assert 0 < found.free_bytes <= found.total_bytes
    small = found.models[SMALL]
    assert 3 * GIB < small.needed_bytes < 6 * GIB and small.first_token_s > 0 and small.tokens_per_s > 0
    assert found.models["embedded"].tokens_per_s is None, "a small model's time is not that of its products"
    assert Survey.from_json(found.to_json()) == found


async def test_a_process_that_fails_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(ModelLoadError, match="could not be measured"):
        await survey.ask([])


def test_sizes_are_read_from_the_heads_of_the_files(tmp_path):
    known = known_sizes("embedded")
    weights = known.layers + known.vision + known.words
    assert 20e6 < weights < 30e6 and known.tied
    on_disk = sum(path.stat().st_size for path in EMBEDDED_DIR.glob("*.safetensors"))
    assert known.download_bytes == pytest.approx(on_disk, rel=0.01)
    assert known_sizes(SMALL) is KNOWN[SMALL]
    assert known_sizes("nobody/nothing") is None
    (tmp_path / "config.json").write_text("{}")
    for content in (b"\xff" * 64, b""):
        (tmp_path / "model.safetensors").write_bytes(content)
        assert sizes_of("broken", tmp_path) is None
