"""Rows of different adapters, and of none, in one batch: each gets what it gets alone, through peft."""

import asyncio
import copy
import json
import shutil
import threading
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from qwen_demo.engines.batching import build
from qwen_demo.engines.batching.job import Job
from qwen_demo.engines.batching.model.adapters import AdapterTable
from qwen_demo.engines.batching.prefix_cache import adapter_mask, prefix_key
from qwen_demo.errors import AdapterRefused, Overloaded
from qwen_demo.models import adapters
from qwen_demo.settings import Settings
from qwen_demo.types import Adapter, ChatRequest, Message, ModelInfo, Sampling, Text, collect
from tests.engines.batching.conftest import generate_alone

LAYERS = r"model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
ATTENTION = r"model\.language_model\..*\.(q_proj|v_proj)"


def test_an_answer_that_ends_does_not_wait_for_an_adapter_that_is_read(monkeypatch):
    """It ends on the thread of all answers."""
    table = AdapterTable({}, 0, size=2, rank=8, slots=1, like=torch.empty(0))
    reading, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(table, "_read", lambda adapter: {})
    first = table.acquire(Adapter("a", "a", "a"))
    monkeypatch.setattr(table, "_read", lambda adapter: (reading.set(), go_on.wait(60), {})[-1])
    loading = threading.Thread(target=table.acquire, args=(Adapter("b", "b", "b"),))
    loading.start()
    assert reading.wait(60)
    ending = threading.Thread(target=table.release, args=(first,))
    ending.start()
    ending.join(30)
    waited = ending.is_alive()
    go_on.set()
    loading.join()
    ending.join()
    assert not waited


def test_an_adapter_is_held_to_the_model_that_answers_whatever_auto_would_choose_now(monkeypatch, tmp_path):
    asked, choose = [], build.choose
    monkeypatch.setattr(build, "choose", lambda settings: asked.append(settings.model) or choose(settings))
    text = torch.nn.Module()
    text.layers = torch.nn.ModuleList()
    model = SimpleNamespace(model=SimpleNamespace(language_model=text), dtype=torch.float32)
    loaded = SimpleNamespace(model=model, device=torch.device("cpu"), info=ModelInfo(model_id="embedded"))
    decoder = build.LeanDecoder.__new__(build.LeanDecoder)
    settings = Settings(model="auto", adapters_dir=tmp_path, operator_keys_file=tmp_path / "keys")
    table = build._adapter_table(settings, loaded, decoder)
    with pytest.raises(AdapterRefused, match="another fingerprint"):
        table._check_base(adapters.AdapterFolder(tmp_path, {}, 1, 1.0, "embedded", "x", {}, {}))
    assert asked == ["embedded"]


def save(model, folder, seed: int, *, rank: int = 4, targets: str = LAYERS, base: str = "embedded", **more):
    """A random adapter with an effect that shows, in peft's own form."""
    from peft import LoraConfig, get_peft_model  # after the model: its import needs what loading declares

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets, **more)
    torch.manual_seed(seed)
    with warnings.catch_warnings(action="ignore"):  # peft's, about transformers' names of tomorrow
        made = get_peft_model(copy.deepcopy(model), config)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.6)
    made.peft_config["default"].base_model_name_or_path = base
    with warnings.catch_warnings(action="ignore"):
        made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(loaded, tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    kinds = [{}, {"rank": 8}, {"targets": ATTENTION}, {"rank": 3, "use_rslora": True}]
    return [save(loaded.model, root / f"a{seed}", seed, **kind) for seed, kind in enumerate(kinds)]


def question(words: str, adapter: Adapter | None = None, *, tokens: int = 12, identity: str = "") -> ChatRequest:
    messages = (Message("user", (Text(words),)),)
    return ChatRequest(messages, Sampling(tokens), adapter=adapter, request_id=identity)


def known(number: int, folder) -> Adapter:
    return adapters.named(f"a{number}", folder, 1 << 30)


@pytest.fixture
def settings_of(folders):
    return {
        "adapters": tuple(f"a{n}={folder}" for n, folder in enumerate(folders)),
        "max_adapters": 4,
        "adapter_rank": 8,
    }


async def test_four_adapters_and_none_in_one_batch_answer_as_each_does_alone_through_peft(
    loaded, folders, started, settings_of, answer_ids
):
    from peft import PeftModel

    words = ["What do you see in this image, in all of its colours?", "Count."]
    expected = {}
    for number, folder in enumerate([*folders, None]):
        model = copy.deepcopy(loaded.model)
        if folder:
            with warnings.catch_warnings(action="ignore"):
                model = PeftModel.from_pretrained(model, folder).merge_and_unload()
        for word in words:
            expected[f"{number} {word}"] = generate_alone(replace(loaded, model=model), question(word))
    assert len({tuple(ids) for ids in expected.values()}) >= 5, "the adapters change nothing"
    async with started(**settings_of) as engine:
        asked = [
            question(word, known(n, folder) if folder else None, identity=f"{n} {word}")
            for word in words
            for n, folder in enumerate([*folders, None])
        ]
        await asyncio.gather(*(collect(engine.stream(request)) for request in asked))
    assert dict(answer_ids) == expected


async def test_what_one_adapter_left_in_the_cache_serves_no_other(loaded, folders, started, settings_of):
    words = "one two three four five six seven eight nine ten " * 6
    async with started(**settings_of) as engine:
        hits = []
        for adapter in (known(0, folders[0]), None, known(1, folders[1]), known(0, folders[0])):
            answer = await collect(engine.stream(question(words, adapter, tokens=2)))
            hits.append(answer.finished.usage.cached_tokens > 0)
    assert hits == [False, False, False, True]


def test_keys_of_the_prefix_cache_differ_in_every_token(loaded):
    prompt = loaded.prompts.build(question("Hello"))
    keys = [prefix_key(prompt, name) for name in ("", "a", "b")]
    assert all((keys[a] != keys[b]).all() for a, b in ((0, 1), (0, 2), (1, 2)))


async def test_a_place_that_answers_is_not_given_to_another_adapter(folders, started, endless):
    async with started(adapters=(f"a0={folders[0]}",), max_adapters=1, adapter_rank=8) as engine:
        writing = engine.stream(question("Go on.", known(0, folders[0]), tokens=400))
        await anext(writing)
        with pytest.raises(Overloaded, match="max-adapters"):
            await collect(engine.stream(question("And?", known(1, folders[1]))))
        await writing.aclose()
        assert (await collect(engine.stream(question("And?", known(1, folders[1]))))).finished


async def test_an_answer_ends_with_the_adapter_that_it_began_with_though_its_folder_has_another(
    loaded, folders, started, settings_of, answer_ids, tmp_path
):
    words = "What do you see in this image, in all of its colours? " * 3
    place = tmp_path / "a"
    shutil.copytree(folders[0], place)
    async with started(**settings_of) as engine:
        old = known(0, place)
        alone = await collect(engine.stream(question(words, old)))
        writing = engine.stream(question(words, old))
        first = await anext(writing)
        shutil.rmtree(place)
        shutil.copytree(folders[1], place)
        new = await collect(engine.stream(question(words, known(0, place))))
        rest = await collect(writing)
    assert first.text + rest.text == alone.text != new.text
    assert new.finished.usage.cached_tokens == 0


def changed(folder, tmp_path, **config):
    to = tmp_path / "changed"
    to.mkdir()
    for name in (adapters.CONFIG, adapters.WEIGHTS):
        (to / name).write_bytes((folder / name).read_bytes())
    said = json.loads((to / adapters.CONFIG).read_text()) | config
    (to / adapters.CONFIG).write_text(json.dumps(said))
    return to


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"r": 65}, "65"),
        ({"r": 5}, "at rank 5"),
        ({"peft_type": "IA3"}, "IA3"),
    ],
)
def test_what_is_no_plain_lora_is_refused_by_name(folders, tmp_path, config, words):
    with pytest.raises(AdapterRefused, match=words):
        adapters.look(changed(folders[0], tmp_path, **config))


def test_a_folder_with_a_pickled_file_is_refused(folders, tmp_path):
    folder = changed(folders[0], tmp_path)
    (folder / "optimizer.pt").write_bytes(b"")
    with pytest.raises(AdapterRefused, match=r"optimizer\.pt"):
        adapters.look(folder)


def test_a_layer_that_is_named_and_missing_is_an_error(folders, tmp_path, loaded):
    found = adapters.look(changed(folders[2], tmp_path, target_modules=["q_proj", "v_proj", "o_proj"]))
    shapes = {name: (m.out_features, m.in_features) for name, m in loaded.model.named_modules() if name in found.shapes}
    shapes |= {"model.language_model.layers.0.self_attn.o_proj": (384, 384)}
    with pytest.raises(AdapterRefused, match="lacks 1 layers"):
        adapters.check_fits(found, shapes)


def test_an_adapter_of_another_base_is_refused_with_both_names(folders, tmp_path):
    found = adapters.look(changed(folders[0], tmp_path, base_model_name_or_path="Qwen/Qwen2.5-VL-3B-Instruct"))
    with pytest.raises(AdapterRefused, match=r"Qwen/Qwen2\.5-VL-3B-Instruct.*Qwen/Qwen2\.5-VL-7B-Instruct"):
        adapters.check_base(found, "Qwen/Qwen2.5-VL-7B-Instruct", lambda: "")
    adapters.check_base(found, "someone/qwen2.5-vl-3b-instruct-AWQ", lambda: "")


async def test_an_adapter_of_the_vision_encoder_is_refused_by_name(loaded, tmp_path, started, settings_of):
    both = r".*(visual\.blocks\.0\.attn\.proj|language_model\.layers\.0\.self_attn\.q_proj)"
    folder = save(loaded.model, tmp_path / "eyes", 5, targets=both)
    async with started(**settings_of) as engine:
        with pytest.raises(AdapterRefused, match=r"1 of its 2 layers, model\.visual\.blocks\.0\.attn\.proj"):
            await collect(engine.stream(question("Hello", known(9, folder))))


def test_what_an_adapter_answered_has_the_key_that_the_next_question_has(loaded):
    prompt = loaded.prompts.build(question("What is this?"))
    whole = prefix_key(prompt, "a")
    for digest in ("", "a"):
        job = Job(question("What is this?"), 0.0, 1.0)
        job.prompt_tokens = job.prefilled_tokens = 4
        job.prefix_key, job.prefix_mask = prefix_key(prompt, digest)[:4], adapter_mask(digest)
        job.output = SimpleNamespace(ids=prompt.input_ids[4:].tolist())
        assert (job.cached_key() == whole[:-1]).all() == (digest == "a")
