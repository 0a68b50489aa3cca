"""From "cannot judge photographs" to an answer of the other model in one click, with two true checkpoints: the embedded one
and one with random weights, which comes from a hub of our own."""

import random

import PIL.Image
import pytest
from playwright.sync_api import expect

from benchmarks.random_checkpoint import write
from tests.models.hub.hub_server import Hub, hub_server
from tests.servers import running
from tests.ui.steps import answered, answers, ask

OTHER = "somebody/Random-VL-Instruct"

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "random"
    write("tiny", folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    environment = {
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "0",
        "QWEN_DEMO_STATE_DIR": str(tmp_path / "state"),
        "QWEN_DEMO_OFFER_MODELS": OTHER,
    }
    with (
        hub_server(Hub({OTHER: files})) as hub,
        running("--model", "auto", HF_ENDPOINT=hub.url, **environment) as server,
    ):
        server.environment = {**environment, "HF_ENDPOINT": hub.url}
        yield server


def test_one_click_leads_from_a_photograph_that_is_beyond_it_to_the_other_models_answer(server, opened, tmp_path):
    noise = random.Random(7).randbytes(96 * 96 * 3)
    PIL.Image.frombytes("RGB", (96, 96), noise).resize((336, 336)).save(tmp_path / "photo.png")
    page = opened(server)
    ask(page, "What is in this photo?", str(tmp_path / "photo.png"))
    answered(page, 1)
    expect(answers(page).first).to_contain_text("demo model and cannot")
    page.locator("#chat").get_by_role("button", name="Ask Random-VL instead").click()
    expect(page.locator("#badge")).to_contain_text(f"{OTHER} answers", timeout=120_000)
    answered(page, 1)
    expect(answers(page).first).not_to_contain_text("demo model")
    # The choice is remembered, and begun with where nobody names a model.
    with running("--model", "auto", **server.environment) as again:
        assert OTHER in "".join(again.lines)
