"""Models to measure: the embedded one, or random weights in the true shapes of a published one.

Random weights cost what trained ones cost. Their prompts are made of random tokens and patches,
so that nothing but PyTorch and transformers is needed where no checkpoint can be had.
"""

import contextlib
import math
import os
import sys
import types as module_types
import zlib
from dataclasses import replace
from types import SimpleNamespace

try:
    import pydantic_settings  # noqa: F401
except ImportError:
    # The engines name the class only; a plain namespace carries the values here.
    stub = module_types.ModuleType("qwen_demo.settings")
    stub.Settings, stub.MIB = lambda **changes: settings(**changes), 1 << 20
    stub.variables_set = lambda variables: contextlib.nullcontext()
    sys.modules["qwen_demo.settings"] = stub

try:
    import llguidance  # noqa: F401
except ImportError:
    grammar = module_types.ModuleType("qwen_demo.engines.grammar")
    grammar.Constraint, grammar.Grammars = object, lambda *_: SimpleNamespace(constraint=None)
    sys.modules["qwen_demo.engines.grammar"] = grammar

# As load_settings does, before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")

import torch

from qwen_demo.models import fp8, torchvision_shim
from qwen_demo.models.patches import Patches
from qwen_demo.types import ModelInfo

torchvision_shim.install()

# Sizes from the configurations on the hub; `tiny` is for trying the scripts on a CPU.
SHAPES = {
    "7b": {
        "text": {
            "hidden_size": 3584,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18944,
            "vocab_size": 152064,
        },
        "vision": {"depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420},
        "full": [7, 15, 23, 31],
        "tied": False,
    },
    "3b": {
        "text": {
            "hidden_size": 2048,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "intermediate_size": 11008,
            "vocab_size": 151936,
        },
        "vision": {"depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420},
        "full": [7, 15, 23, 31],
        "tied": True,
    },
    "tiny": {
        "text": {
            "hidden_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 512,
            "vocab_size": 3072,  # the embedded model's tokenizer has as many
        },
        "vision": {"depth": 3, "hidden_size": 160, "num_heads": 2, "intermediate_size": 324},
        "full": [1],
        "tied": False,
    },
}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
QUANTIZED = {"nf4": "text", "nf4-vision": "all", "int8": "text", "fp8": None, "int4": None}


def settings(**changes) -> SimpleNamespace:
    """Every field that the engines read, with its default."""
    values = {
        "model": "random",
        "threads": 0,
        "max_running": 64,
        "request_timeout_s": 3600.0,
        "slots": 0,
        "slot_tokens": 0,
        "kv_cache_mib": 0,
        "memory_limit_gib": None,
        "image_cache_mib": 256,
        "cache_seconds": 600.0,
        "reuse": True,
        "prefill_tokens": 0,
        "cuda_graphs": True,
        "fast_path": True,
        "kernels": True,
        "mixed_steps": True,
        "step_timeout_s": 600.0,
        "repetition_guard": True,
        "warmup": True,
        "revision": None,
        "hf_token": None,
        "hub_timeout_s": 5.0,
        "weights_cache_gib": 0,
        "quantization": "none",
        "attention": "auto",
        "device_map": None,
        "compares": False,
        "has_adapters": False,
        "merge_adapter": None,
        "merged_name": "",
        "merged_folder": None,
        "go_first_file": None,
        "give_way_file": None,
        "min_pixels": None,
        "max_pixels": None,
    }
    return SimpleNamespace(**{**values, **changes})


def load(
    architecture: str,
    weights: str,
    *,
    context_tokens: int = 32768,
    seed: int = 0,
    endless: bool = True,
    device_map: str | None = None,
):
    """A `LoadedModel`.

    Args:
        architecture: `embedded`, or one of SHAPES.
        weights: `fp32`, `bf16`, `fp16`, `int8`, `fp8`, `nf4` (vision encoder and head unquantised) or
            `nf4-vision` (all linear layers of the vision encoder too), `int4` (on a CPU, as the program keeps them there).
        endless: answers of `embedded` never end by themselves, as those of random weights do not.
        device_map: of `embedded`, as `--device-map`.
    """
    from qwen_demo.models.load import LoadedModel

    if architecture == "embedded":
        loaded = _embedded(weights, device_map)
        if not endless:
            return loaded
        loaded.model.generation_config.eos_token_id = [loaded.prompts.processor.video_token_id]
        loaded.prompts.tokenizer = Numbered(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size)
        return loaded
    model = random_model(architecture, weights, seed, context_tokens)
    device = model.get_input_embeddings().weight.device
    info = ModelInfo(
        model_id=f"random {architecture}",
        device=str(device),
        dtype=str(model.dtype).removeprefix("torch."),
        quantization=weights if weights in QUANTIZED else "none",
        context_tokens=context_tokens,
        min_pixels=4 * 28 * 28,
        max_pixels=2560 * 28 * 28,
    )
    return LoadedModel(model, RandomPrompts(model, context_tokens), info, device)


def from_disk(made, *, context_tokens: int):
    """What `random_checkpoint.write` wrote, through the product's loader; prompts are random."""
    from transformers import GenerationConfig

    from qwen_demo.models.load import load as load_checkpoint

    loaded = load_checkpoint(made)
    loaded.model.generation_config = GenerationConfig(eos_token_id=[-1], pad_token_id=0)
    info = replace(loaded.info, context_tokens=context_tokens)
    return replace(loaded, prompts=RandomPrompts(loaded.model, context_tokens), info=info)


def _embedded(weights: str, device_map: str | None):
    from qwen_demo.models.load import load as load_checkpoint
    from qwen_demo.settings import Settings

    # Eight-bit floats in the plain way, which every machine can compute.
    by_loader = weights in QUANTIZED and weights != "fp8"
    quantization = weights if by_loader else "none"
    loaded = load_checkpoint(Settings(model="embedded", quantization=quantization, device_map=device_map))
    if weights == "fp8":
        fp8.quantise(loaded.model)
    if weights not in QUANTIZED and loaded.model.dtype != DTYPES[weights]:
        loaded.model.to(DTYPES[weights])
    return loaded


def config(architecture: str, context_tokens: int):
    from transformers import Qwen2_5_VLConfig

    shape = SHAPES[architecture]
    head_dim = shape["text"]["hidden_size"] // shape["text"]["num_attention_heads"]
    sections = [head_dim // 8, head_dim * 3 // 16, head_dim * 3 // 16]
    last = shape["text"]["vocab_size"] - 1
    return Qwen2_5_VLConfig(
        text_config={
            **shape["text"],
            "max_position_embeddings": context_tokens,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections},
            "use_sliding_window": False,
            "bos_token_id": None,
            "eos_token_id": None,
        },
        vision_config={
            **shape["vision"],
            "out_hidden_size": shape["text"]["hidden_size"],
            "fullatt_block_indexes": shape["full"],
            "window_size": 112,
        },
        tie_word_embeddings=shape["tied"],
        image_token_id=last - 3,
        video_token_id=last - 2,
        vision_start_token_id=last - 1,
        vision_end_token_id=last,
    )


def random_model(architecture: str, weights: str, seed: int, context_tokens: int):
    """Weights come to the device a layer at a time and are quantised there, as a checkpoint's are."""
    from accelerate import init_empty_weights
    from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    with init_empty_weights(include_buffers=False):
        model = Qwen2_5_VLForConditionalGeneration._from_config(
            config(architecture, context_tokens),
            attn_implementation="sdpa",
            dtype=DTYPES.get(weights, torch.bfloat16),
        )
    model.eval().requires_grad_(False)
    if weights == "int4":
        _draw_int4(model.model.language_model.layers)
    quantized = {"text": model.model.language_model.layers, "all": model.model}.get(QUANTIZED.get(weights) or "")
    if quantized is not None:
        _draw_quantized(quantized, weights, device)
    _draw(model, device)
    model.tie_weights()
    if weights == "fp8":
        fp8.quantise(model)
    if weights == "int4":
        model.lm_head = _int4_head(model.lm_head.weight)
    model.generation_config = GenerationConfig(eos_token_id=[-1], pad_token_id=0)
    return model


def _draw(root: torch.nn.Module, device: str) -> None:
    """Give what has no numbers yet some, as training begins with, and bring buffers to the device."""
    for module in root.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.is_meta:
                drawn = torch.empty_like(parameter, device=device)
                if parameter.dim() == 1:
                    drawn.fill_(float(name == "weight"))
                else:
                    drawn.normal_(0, 0.02)
                setattr(module, name, torch.nn.Parameter(drawn, requires_grad=False))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))


def _draw_quantized(root: torch.nn.Module, weights: str, device: str) -> None:
    """Replace every linear layer inside `root`, one at a time, by bitsandbytes' own."""
    modules = list(root.modules())
    for parent in modules:
        for name, module in list(parent.named_children()):
            if type(module) is torch.nn.Linear:
                _draw(module, device)
                setattr(parent, name, _quantized(module, weights))
                module.weight = None  # `modules` above still hold it
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _draw_int4(root: torch.nn.Module) -> None:
    """Replace every linear layer inside `root` by one of four bits; those of one shape hold the same numbers, apart."""
    from qwen_demo.models.cpu.int4 import GROUP, Int4Linear, pack

    drawn: dict[tuple[int, int], torch.Tensor] = {}
    for parent in list(root.modules()):
        for name, linear in list(parent.named_children()):
            if type(linear) is torch.nn.Linear:
                shape = linear.out_features, linear.in_features
                if shape not in drawn:
                    drawn[shape] = pack(torch.randint(0, 16, shape, dtype=torch.uint8))
                scale_zero = torch.tensor([0.004, 0.0], dtype=torch.bfloat16).repeat(shape[1] // GROUP, shape[0], 1)
                bias = None if linear.bias is None else torch.zeros(shape[0], dtype=linear.weight.dtype)
                setattr(parent, name, Int4Linear(drawn[shape].clone(), scale_zero, bias))


def _int4_head(weight: torch.Tensor) -> torch.nn.Module:
    from qwen_demo.models.cpu.head import RescoredHead
    from qwen_demo.models.cpu.int4 import Int4Linear

    return RescoredHead(Int4Linear.of(weight, None), weight)


def _quantized(linear: torch.nn.Linear, weights: str) -> torch.nn.Module:
    import bitsandbytes as bnb

    device = linear.weight.device
    shape = (linear.in_features, linear.out_features)
    if weights == "int8":
        made = bnb.nn.Linear8bitLt(*shape, bias=linear.bias is not None, has_fp16_weights=False, device="meta")
        # Only the way from the CPU to the GPU quantises these.
        made.weight = bnb.nn.Int8Params(linear.weight.data.cpu(), requires_grad=False, has_fp16_weights=False)
    else:
        made = bnb.nn.Linear4bit(
            *shape,
            bias=linear.bias is not None,
            compute_dtype=linear.weight.dtype,
            compress_statistics=True,
            quant_type="nf4",
            device="meta",
        )
        made.weight = bnb.nn.Params4bit(
            linear.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=made
        )
    made.weight = made.weight.to(device)
    made.bias = linear.bias
    return made.requires_grad_(False)


class RandomPrompts:
    """Stands in for `PromptBuilder`: the sizes of a request, with random content."""

    def __init__(self, model, context_tokens: int):
        self.context_tokens = context_tokens
        self.tokenizer = SimpleNamespace(backend_tokenizer=_numbers(model.config.text_config.vocab_size), decode=str)
        self._config = model.config
        self._get_rope_index = model.model.get_rope_index
        # Drawn once: drawing an image's pixels takes longer than reading them on a GPU.
        dice, values = torch.Generator().manual_seed(0), 3 * 2 * 14 * 14
        self._noise = torch.randint(0, 256, (1 << 22,), generator=dice, dtype=torch.uint8)
        self.patches = Patches(torch.full((values,), 127.5), torch.full((values,), 64.0), 14, 2, 2)

    def _pixels(self, grid: tuple[int, int, int], dice: torch.Generator) -> torch.Tensor:
        shape = (2 * grid[0] if grid[0] > 1 else 1, 14 * grid[1], 14 * grid[2], 3)
        size = math.prod(shape)
        if size > len(self._noise) // 2:
            return torch.randint(0, 256, shape, generator=dice, dtype=torch.uint8)
        start = int(torch.randint(0, len(self._noise) // 2, (), generator=dice))
        return self._noise[start : start + size].view(shape)

    def room(self, prompt, max_new_tokens: int) -> int:
        return min(max_new_tokens, self.context_tokens - prompt.length)

    def build(self, request):
        from qwen_demo.models.prompt import Medium, Prompt
        from qwen_demo.types import Text

        dice = torch.Generator().manual_seed(zlib.crc32(request.request_id.encode()))
        ids, media = [], []
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, Text):
                    ids += torch.randint(10, 1000, (len(part.text.split()),), generator=dice).tolist()
                else:
                    frames = getattr(part, "frames", None)
                    shown = frames[0] if frames else part.pixels
                    grid = (len(frames) // 2 if frames else 1, shown.height // 28 * 2, shown.width // 28 * 2)
                    tokens = math.prod(grid) // 4
                    token = self._config.video_token_id if frames else self._config.image_token_id
                    ids += [self._config.vision_start_token_id]
                    seconds = 2 / part.fps if frames else 0.0
                    pixels = self._pixels(grid, dice)
                    media.append(Medium(part.digest, grid, len(ids), tokens, pixels, seconds, self.patches))
                    ids += [token] * tokens + [self._config.vision_end_token_id]
        input_ids = torch.tensor(ids)
        types = (input_ids == self._config.image_token_id).int() + 2 * (input_ids == self._config.video_token_id).int()
        return Prompt(input_ids, types, *self._positions(input_ids, types, media), tuple(media))

    def _positions(self, input_ids, types, media) -> tuple[torch.Tensor, int]:
        if not media:
            return torch.arange(len(input_ids)).expand(3, -1), 0
        grids = [torch.tensor([m.grid_thw for m in media if m.is_video is kind]) for kind in (False, True)]
        seconds = [m.seconds_per_grid for m in media if m.is_video]
        positions, delta = self._get_rope_index(
            input_ids[None],
            types[None],
            image_grid_thw=grids[0] if len(grids[0]) else None,
            video_grid_thw=grids[1] if len(grids[1]) else None,
            second_per_grid_ts=seconds or None,
        )
        return positions[:, 0], int(delta)


class Numbered:
    """A tokenizer that writes every token as its number: special tokens, too, then come as a piece of text."""

    def __init__(self, tokenizer, vocabulary: int):
        self._tokenizer = tokenizer
        self.backend_tokenizer = _numbers(vocabulary)
        self.decode = str

    def __call__(self, *args, **kwargs):
        return self._tokenizer(*args, **kwargs)


def _numbers(vocabulary: int):
    """A tokenizer whose tokens are their own numbers, so that every token is some text."""
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({f"t{n}": n for n in range(vocabulary)}, unk_token="t0"))
