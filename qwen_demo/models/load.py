"""Weights, processor and prompt builder of the chosen model: one path for every checkpoint.

Qwen2.5-VL-7B-Instruct from the hub and the embedded model go through the same calls. Progress
goes to a callback in words for people. `trust_remote_code` stays off.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.choose import Choice, choose
from qwen_demo.settings import Settings
from qwen_demo.types import ModelInfo

if TYPE_CHECKING:
    from qwen_demo.models.prompt import PromptBuilder

# A full-size image budget that 16 GiB cards bear: 2,560 tokens an image.
DEFAULT_MAX_PIXELS = 2560 * 28 * 28
EMBEDDED_THREADS = 2  # so small a model has no work for more
# Left unquantised; transformers 5 matches full module names.
HEAD = ["lm_head"]
VISION_AND_HEAD = ["model.visual", *HEAD]

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        model: `Qwen2_5_VLForConditionalGeneration` in eval mode.
        prompts: builds its inputs.
        device: where inputs go (`torch.device`).
    """

    model: Any
    prompts: "PromptBuilder"
    info: ModelInfo
    device: Any


def load(settings: Settings, progress: Progress = lambda stage: None) -> LoadedModel:
    """Choose and load a model.

    Raises:
        ModelLoadError: naming cause and remedy.
    """
    progress("Importing PyTorch and transformers")
    import torch

    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    choice = choose(settings)
    if threads := settings.threads or (choice.embedded and min(EMBEDDED_THREADS, torch.get_num_threads())):
        torch.set_num_threads(threads)
    progress(f"Loading {choice.model_id} ({choice.reason})")
    try:
        return _load(choice, settings, torch, progress)
    except ModelLoadError:
        raise
    except Exception as error:  # the libraries that read a checkpoint have no common base for what they raise
        raise ModelLoadError(
            f"{choice.model_id} could not be loaded: {error} {_remedy(error, choice, torch)}"
        ) from error


def load_beside(first: Callable[[], ModelInfo]) -> Callable[[Settings, Progress], LoadedModel]:
    """A `load` for a second engine: the model that `first` tells of once it is loaded, in another way than it.

    Raises, when called:
        ModelLoadError: also where nothing would differ.
    """

    def loaded(settings: Settings, progress: Progress) -> LoadedModel:
        info = first()
        settings = settings.model_copy(update={"model": info.model_id})
        choice = choose(settings)
        if (settings.engine, choice.quantization) == (info.engine, info.quantization):
            raise ModelLoadError(
                f"It would be the same as the first: {info.engine}, quantisation {info.quantization}. Give "
                "--compare-engine or --compare-quantization another value, or neither."
            )
        model = load(settings, progress)
        return replace(model, info=replace(model.info, reason="to compare with the first"))

    return loaded


def _load(choice: Choice, settings: Settings, torch, progress: Progress) -> LoadedModel:
    from transformers import AutoConfig, AutoProcessor, Qwen2_5_VLForConditionalGeneration
    from transformers.utils.logging import disable_progress_bar

    from qwen_demo.models import fp8
    from qwen_demo.models.prompt import PromptBuilder

    if choice.quantization == "fp8":
        fp8.refuse_elsewhere()
    disable_progress_bar()  # standard error is the log's
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    hub: dict[str, Any] = {"revision": choice.revision, "token": token, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(choice.source, **hub)
    if config.model_type != "qwen2_5_vl":
        raise ModelLoadError(
            f"{choice.model_id} is a {config.model_type} model; this program serves Qwen2.5-VL (qwen2_5_vl) checkpoints. "
            "Other models can be served by vLLM or the like."
        )
    processor = AutoProcessor.from_pretrained(choice.source, **hub)
    device, dtype = _device(torch), _dtype(torch)
    attention = _attention(settings, device)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        choice.source,
        **hub,
        dtype=dtype,
        attn_implementation=attention,
        device_map=settings.device_map or {"": device},
        quantization_config=_quantization_config(choice.quantization, dtype),
    ).eval()
    if choice.quantization == "fp8":
        progress("Quantising to eight-bit floats")
        fp8.quantise(model)
    model.generation_config = _plain_generation_config(model.generation_config)
    max_pixels = settings.max_pixels or min(processor.image_processor.size["longest_edge"], DEFAULT_MAX_PIXELS)
    min_pixels = min(settings.min_pixels or processor.image_processor.size["shortest_edge"], max_pixels)
    info = ModelInfo(
        model_id=choice.model_id,
        revision=choice.revision,
        reason=choice.reason,
        device=_device_name(torch, device, settings.device_map),
        dtype=str(dtype).removeprefix("torch."),
        quantization=choice.quantization,
        attention=attention,
        context_tokens=config.text_config.max_position_embeddings,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        patch_pixels=processor.image_processor.patch_size * processor.image_processor.merge_size,
        embedded=choice.embedded,
    )
    prompts = PromptBuilder(processor, model.model.get_rope_index, info)
    return LoadedModel(model, prompts, info, model.get_input_embeddings().weight.device)


def _plain_generation_config(shipped):
    """Checkpoints bring sampling defaults; left in place they would mix with what a request says."""
    from transformers import GenerationConfig

    pad = shipped.pad_token_id
    ends = shipped.eos_token_id
    if pad is None:
        pad = ends[0] if isinstance(ends, list) else ends
    return GenerationConfig(eos_token_id=ends, pad_token_id=pad)


def _device(torch) -> str:
    if torch.cuda.is_available():
        free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
        return f"cuda:{free.index(max(free))}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _device_name(torch, device: str, device_map: str | None) -> str:
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
        return f"{torch.cuda.device_count()} × {name}" if device_map else name
    return {"mps": "Apple GPU", "cpu": "CPU"}[device]


def _dtype(torch):
    """bf16 on GPUs that have it, else fp16; fp32 on the CPU, where not all can multiply less and answers stay exact."""
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float16 if torch.backends.mps.is_available() else torch.float32


def _attention(settings: Settings, device: str) -> str:
    if settings.attention != "auto":
        return settings.attention
    fast = device.startswith("cuda") and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if fast else "sdpa"


def _quantization_config(quantization: str, compute_dtype):
    from transformers import BitsAndBytesConfig

    if quantization in ("nf4", "nf4-vision"):
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute_dtype,
            llm_int8_skip_modules=VISION_AND_HEAD if quantization == "nf4" else HEAD,
        )
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=VISION_AND_HEAD)
    return None


def _remedy(error: Exception, choice: Choice, torch) -> str:
    """What to do about it. Types first; a few libraries tell their causes by name of a package alone."""
    if isinstance(error, torch.OutOfMemoryError):
        return (
            "Use a smaller model, --quantization nf4 or nf4-vision, --device-map auto to spread it over several GPUs, or a "
            "higher --memory-limit-gib if one is set."
        )
    if isinstance(error, ImportError):
        missing = error.name or ""
        if "flash" in missing or "flash" in str(error):
            return "Install flash-attn, or use --attention sdpa."
        return "Install what is missing (pip install -r requirements.txt)."
    if choice.embedded:
        return "The embedded model's files are damaged; check them with sha256sum -c SHA256SUMS in its folder."
    return (
        "Check the name, the revision and the network (or QWEN_DEMO_HF_TOKEN for a private model); "
        "--model embedded works without any of them."
    )
