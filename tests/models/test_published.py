"""Checkpoints as they come: every published layout is loaded, or refused with words that help."""

import asyncio
import json

import pytest
import torch

from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.errors import ModelLoadError
from qwen_demo.models.checkpoint import Checkpoint, FileQuantization, context_tokens, todays_name
from qwen_demo.models.load import load
from qwen_demo.settings import Settings
from qwen_demo.types import collect
from tests.conftest import image, question
from tests.models import published

NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
# As unsloth's dynamic quantisations have them: names of an older transformers, and endings.
UNSLOTH = {
    **NF4,
    "bnb_4bit_use_double_quant": True,
    "llm_int8_skip_modules": ["lm_head", "visual", "merger", "model.layers.0.mlp", "model.layers.1.self_attn.q_proj"],
}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemm", "modules_to_not_convert": ["visual"]}
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}


@pytest.fixture(scope="module")
def weights():
    return published.weights()


def settings(folder, **changes) -> Settings:
    return Settings(**{"model": str(folder), "threads": 1, "slots": 2, "slot_tokens": 512, **changes})


@pytest.fixture(scope="module")
def prompt(loaded):
    return loaded.prompts.build(question("What color is the circle?", image("red")))


@torch.inference_mode()
def logits(loaded, prompt) -> torch.Tensor:
    """[prompt, vocabulary] float32."""
    return loaded.model(**prompt.model_inputs("cpu")).logits[0].float()


def distance(loaded, other, prompt) -> float:
    ours, theirs = logits(loaded, prompt), logits(other, prompt)
    return float((ours - theirs).norm() / theirs.norm())


def test_old_names_load_to_the_last_bit(loaded, weights, prompt, tmp_path):
    folder = published.write(tmp_path / "old", published.old_names(weights))
    assert torch.equal(logits(load(settings(folder)), prompt), logits(loaded, prompt))


@pytest.mark.parametrize(
    ("name", "today"),
    [
        ("visual", "model.visual"),
        ("visual.blocks.0.mlp.up_proj", "model.visual.blocks.0.mlp.up_proj"),
        ("model.layers.3.mlp", "model.language_model.layers.3.mlp"),
        ("model.norm.weight", "model.language_model.norm.weight"),
        ("model.visual.patch_embed", "model.visual.patch_embed"),
        ("model.language_model.norm", "model.language_model.norm"),
        ("lm_head", "lm_head"),
        ("visualiser", "visualiser"),
    ],
)
def test_names_become_todays(name, today):
    assert todays_name(name) == today


@pytest.mark.parametrize("double", [True, False], ids=["double", "single"])
def test_bitsandbytes_nf4_files_are_the_nf4_that_is_made_here(weights, prompt, tmp_path, double):
    made = published.quantized(weights, lambda weight: published.bitsandbytes_nf4(weight, double=double))
    folder = published.write(tmp_path / "nf4", published.old_names(made), quantization_config=NF4)
    theirs = load(settings(folder))
    ours = load(settings("embedded", quantization="nf4"))
    assert theirs.info.quantization.startswith(("nf4", "int4 (files: nf4, bitsandbytes"))
    assert distance(theirs, ours, prompt) < 0.15


def test_layers_that_the_files_left_whole_are_whole(loaded, weights, prompt, tmp_path):
    """A skip list is not believed: what the files hold is."""

    def which(name):
        return published.is_layer(name) and "layers.0.mlp" not in name and "layers.1.self_attn.q_proj" not in name

    made = published.quantized(weights, published.bitsandbytes_nf4, which)
    folder = published.write(tmp_path / "dynamic", published.old_names(made), quantization_config=UNSLOTH)
    theirs = load(settings(folder))
    assert "nf4" in theirs.info.quantization
    assert distance(theirs, loaded, prompt) < 0.5
    from qwen_demo.models.by_transformers import unquantised_layers

    kept = unquantised_layers(Checkpoint.of(folder))
    assert "model.visual" in kept and "lm_head" in kept
    assert "model.language_model.layers.0.mlp.up_proj" in kept
    assert "model.language_model.layers.1.self_attn.q_proj" in kept
    assert "model.language_model.layers.1.self_attn.k_proj" not in kept


def test_bitsandbytes_int8_files_stay_eight_bits(loaded, weights, prompt, tmp_path):
    made = published.quantized(weights, published.bitsandbytes_int8)
    said = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    theirs = load(settings(published.write(tmp_path / "int8", made, quantization_config=said)))
    assert theirs.info.quantization == "int8"
    assert distance(theirs, loaded, prompt) < 0.05


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (published.gptq, GPTQ),
        (lambda weight: published.gptq(weight, less=0), {**GPTQ, "checkpoint_format": "gptq_v2"}),
        (published.awq, AWQ),
    ],
    ids=["gptq", "gptq v2", "awq"],
)
def test_gptq_and_awq_files_are_multiplied_as_they_are(loaded, weights, prompt, tmp_path, layout, said):
    made = published.quantized(weights, layout)
    theirs = load(settings(published.write(tmp_path / "four", published.old_names(made), quantization_config=said)))
    assert theirs.info.quantization == f"int4 (files: int4, {said['quant_method'].upper()})"
    assert distance(theirs, loaded, prompt) < 0.4


def test_gptq_columns_in_order_of_importance_are_found_again(loaded, weights, prompt, tmp_path):
    def shuffled(weight):
        order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(0))
        parts = published.gptq(weight[:, order])
        numbers = published.gptq(weight[:, order])["qweight"]
        # The file has the columns in their own order, and for each its group.
        unpacked = ((numbers.T[..., None] >> (4 * torch.arange(8))) & 15).flatten(1)
        back = torch.empty_like(unpacked)
        back[:, order] = unpacked
        groups = torch.empty_like(parts["g_idx"])
        groups[order] = parts["g_idx"]
        return {**parts, "qweight": published._packed(back).T, "g_idx": groups}

    made = published.quantized(weights, shuffled)
    folder = published.write(tmp_path / "order", made, quantization_config={**GPTQ, "desc_act": True})
    assert distance(load(settings(folder)), loaded, prompt) < 0.5


def test_fp8_files_are_widened_and_quantised_for_this_cpu(loaded, weights, prompt, tmp_path):
    made = published.quantized(weights, published.fp8)
    theirs = load(settings(published.write(tmp_path / "fp8", made, quantization_config=FP8)))
    assert theirs.info.quantization in ("nf4 (files: fp8)", "int4 (files: fp8)")
    assert distance(theirs, loaded, prompt) < 0.5


@pytest.mark.parametrize("said", [{"quant_method": "aqlm"}, {"quant_method": "hqq"}, {**GPTQ, "bits": 3}])
def test_what_cannot_be_read_is_refused_with_what_can_be_done(weights, tmp_path, said):
    folder = published.write(tmp_path / "other", weights, quantization_config=said)
    with pytest.raises(ModelLoadError, match=r"quantised already.*vLLM.*--engine remote.*unquantised"):
        load(settings(folder))


@pytest.mark.parametrize("asked", ["none", "int8", "nf4-vision"])
def test_another_quantisation_than_the_files_is_refused(weights, tmp_path, asked):
    made = published.quantized(weights, published.awq)
    folder = published.write(tmp_path / "awq", made, quantization_config=AWQ)
    with pytest.raises(ModelLoadError, match=r"int4, AWQ.*--quantization"):
        load(settings(folder, quantization=asked))


@pytest.mark.parametrize(
    ("said", "kind", "label"),
    [
        (None, "none", ""),
        (NF4, "nf4", "nf4, bitsandbytes"),
        (UNSLOTH, "nf4", "nf4, bitsandbytes, double"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, "fp4", "fp4, bitsandbytes"),
        ({**AWQ, "bits": 8}, "awq of 8 bits", "int8, AWQ"),
        ({"quant_method": "compressed-tensors", "format": "float-quantized"}, "fp8", "fp8, compressed-tensors"),
        (
            {"quant_method": "compressed-tensors", "format": "pack-quantized"},
            "compressed-tensors",
            "compressed-tensors",
        ),
    ],
)
def test_a_label_says_what_the_file_says(said, kind, label):
    assert FileQuantization.of({"quantization_config": said}) == FileQuantization(kind, label)


def test_generation_settings_of_a_checkpoint_do_not_leak_in(loaded, weights, tmp_path):
    """Qwen's files bring a repetition penalty and a temperature."""
    folder = published.write(tmp_path / "leaking", weights)
    shipped = json.loads((folder / "generation_config.json").read_text())
    shipped |= {"repetition_penalty": 9.0, "temperature": 0.1, "do_sample": True, "top_k": 1, "max_new_tokens": 3}
    (folder / "generation_config.json").write_text(json.dumps(shipped))
    made = load(settings(folder)).model.generation_config
    assert made.to_diff_dict() == loaded.model.generation_config.to_diff_dict()


def test_without_generation_settings_the_configuration_says_what_ends_an_answer(loaded, weights, tmp_path):
    folder = published.write(tmp_path / "bare", weights, without=("generation_config.json",))
    assert load(settings(folder)).model.generation_config.eos_token_id == 3058


@pytest.mark.parametrize(
    ("text_config", "tokens"),
    [
        ({"max_position_embeddings": 128_000}, 32_768),
        ({"max_position_embeddings": 4096}, 4096),
        (
            {"max_position_embeddings": 128_000, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}},
            32_768,
        ),
        (
            {
                "max_position_embeddings": 128_000,
                "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768},
            },
            131_072,
        ),
    ],
)
def test_context_is_what_the_card_says(text_config, tokens):
    assert context_tokens(text_config) == tokens


def test_a_template_in_a_file_of_its_own_and_no_video_configuration_will_do(loaded, weights, tmp_path):
    """As Qwen published them: `chat_template.json`, and one configuration for images and videos."""
    folder = published.write(
        tmp_path / "old files", weights, without=("chat_template.jinja", "video_preprocessor_config.json")
    )
    template = (published.EMBEDDED_DIR / "chat_template.jinja").read_text()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    made = load(settings(folder))
    asked = question("What color is the circle?", image("red"))
    assert torch.equal(made.prompts.build(asked).input_ids, loaded.prompts.build(asked).input_ids)
    assert made.prompts.processor.video_processor.patch_size == loaded.prompts.processor.video_processor.patch_size


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "apart"])
def test_an_output_layer_of_its_own_is_read_and_a_tied_one_is_the_table(weights, tmp_path, tied):
    other = {**weights, "lm_head.weight": torch.zeros_like(weights["model.language_model.embed_tokens.weight"])}
    made = load(settings(published.write(tmp_path / "head", other, tie_word_embeddings=tied)))
    assert bool(made.model.lm_head.weight.any()) is tied


def test_shapes_that_are_not_the_configurations_are_refused(weights, tmp_path):
    name = "model.language_model.norm.weight"
    folder = published.write(tmp_path / "shapes", {**weights, name: weights[name][:7]})
    with pytest.raises(ModelLoadError, match="shape"):
        load(settings(folder))


def test_missing_weights_are_named(weights, tmp_path):
    name = "model.language_model.layers.3.mlp.up_proj.weight"
    folder = published.write(tmp_path / "missing", {k: v for k, v in weights.items() if k != name})
    with pytest.raises(ModelLoadError, match=r"no weights for model\.language_model\.layers\.3\.mlp\.up_proj"):
        load(settings(folder))


def test_a_shard_that_has_not_come_is_named(weights, tmp_path):
    folder = published.write(tmp_path / "half", weights)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {name: f"model-0000{n % 2}-of-2.safetensors" for n, name in enumerate(weights)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelLoadError, match=r"model-00000-of-2\.safetensors, model-00001-of-2\.safetensors"):
        load(settings(folder))


def test_weights_of_other_formats_are_refused_by_name(tmp_path, weights):
    folder = published.write(tmp_path / "pickled", weights)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match=r"pytorch_model\.bin"):
        load(settings(folder))


LAYOUTS = {
    "nf4": (published.bitsandbytes_nf4, NF4),
    "awq": (published.awq, AWQ),
    "int8": (published.bitsandbytes_int8, {"quant_method": "bitsandbytes", "load_in_8bit": True}),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_the_engines_give_the_same_greedy_answer(weights, tmp_path, layout):
    parts, said = LAYOUTS[layout]
    made = published.old_names(published.quantized(weights, parts))
    one = load(settings(published.write(tmp_path / layout, made, quantization_config=said)))
    requests = [
        question("What color is the circle?", image("blue"), max_new_tokens=12),
        question("Who are you?", max_new_tokens=12),
    ]
    answers = []
    for kind, changes in ((GenerateEngine, {}), (BatchingEngine, {}), (BatchingEngine, {"fast_path": False})):
        engine = kind(settings("embedded", **changes), loader=lambda *_: one)
        await engine.start()
        answers.append([(await collect(engine.stream(request))).text for request in requests])
        together = await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
        assert [answer.text for answer in together] == answers[-1]
        await engine.close()
    assert answers[0] == answers[1] == answers[2]
    assert "blue" in answers[0][0]
