"""Weights, processor and prompt builder of the chosen model.

On a CPU a checkpoint is read by `cpu/reader.py`, a tensor at a time; elsewhere by transformers. Qwen2.5-VL-7B-Instruct
from the hub and the embedded model go through the same calls. Progress goes to a callback in sentences for people.
`trust_remote_code` stays off.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen_demo.errors import AdapterRefused, ModelLoadError
from qwen_demo.models import machine
from qwen_demo.models.choose import Choice, choose, is_small
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ModelInfo

if TYPE_CHECKING:
    from qwen_demo.models.checkpoint import Checkpoint
    from qwen_demo.models.merging import Merging
    from qwen_demo.models.prompt import PromptBuilder
    from qwen_demo.models.reading import ReadingOrder

# A full-size image budget that 16 GiB cards bear: 2,560 tokens an image.
DEFAULT_MAX_PIXELS = 2560 * 28 * 28
EMBEDDED_THREADS = 2  # so small a model has no work for more

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
    if threads := threads_for(settings, machine.device(), embedded=choice.embedded):
        torch.set_num_threads(threads)
    progress(f"Loading {choice.model_id} ({choice.reason})")
    try:
        return _load(choice, settings, progress)
    except ModelLoadError:
        raise
    except Exception as error:  # the libraries that read a checkpoint have no common base for what they raise
        raise ModelLoadError(
            f"{choice.model_id} could not be loaded: {str(error).rstrip('. ')}. {_remedy(error, choice, settings)}"
        ) from error


def threads_for(settings: Settings, device: str, *, embedded: bool) -> int:
    """As `--threads` says, else on a CPU by what is idle, never more than PyTorch would take; 0 leaves it to PyTorch."""
    import torch

    if settings.threads or device != "cpu":
        return settings.threads
    idle = min(machine.idle_threads(), torch.get_num_threads())
    return min(EMBEDDED_THREADS, idle) if embedded else idle


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


def _load(choice: Choice, settings: Settings, progress: Progress) -> LoadedModel:
    from qwen_demo.models import fp8
    from qwen_demo.models.checkpoint import Checkpoint
    from qwen_demo.models.finite import ensure_finite
    from qwen_demo.models.hub.fetch import folder_of
    from qwen_demo.models.processor import load_processor
    from qwen_demo.models.prompt import PromptBuilder
    from qwen_demo.models.reading import ReadingOrder

    if choice.quantization == "fp8":
        fp8.refuse_elsewhere()
    folder = folder_of(choice, settings, progress)
    config = _config(choice, folder)
    processor = load_processor(folder)
    device = machine.device()
    dtype = machine.dtype_for(device, small=is_small(folder))
    attention = _attention(settings, device)
    checkpoint = Checkpoint.of(folder)
    merging = _merging(settings, checkpoint, choice)
    order = ReadingOrder(choice, checkpoint, config, device, dtype, attention, settings, progress, merging)
    model, quantization = _read(order)
    model.generation_config = _plain_generation_config(folder, config)
    max_pixels = settings.max_pixels or min(processor.image_processor.size["longest_edge"], DEFAULT_MAX_PIXELS)
    min_pixels = min(settings.min_pixels or processor.image_processor.size["shortest_edge"], max_pixels)
    info = ModelInfo(
        model_id=choice.model_id,
        revision=choice.revision,
        reason=_reason(choice, settings),
        merged=settings.merged_name,
        device=machine.device_name(device, settings.device_map),
        quantization=quantization,
        attention=attention,
        context_tokens=checkpoint.context_tokens,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        patch_pixels=processor.image_processor.patch_size * processor.image_processor.merge_size,
        embedded=choice.embedded,
    )
    prompts = PromptBuilder(processor, model.model.get_rope_index, info)
    place = model.get_input_embeddings().weight.device
    if not machine.on_zerogpu():
        ensure_finite(model, prompts, place)
    return LoadedModel(model, prompts, replace(info, dtype=str(model.dtype).removeprefix("torch.")), place)


def _merging(settings: Settings, checkpoint: "Checkpoint", choice: Choice) -> "Merging | None":
    """What `--merge-adapter` names. Raises `ModelLoadError`."""
    if settings.merged_folder is None:
        return None
    from qwen_demo.models.merging import Merging

    try:
        return Merging.of(settings.merged_folder, checkpoint, choice.model_id)
    except AdapterRefused as error:
        raise ModelLoadError(f"--merge-adapter: {error}") from error


def _reason(choice: Choice, settings: Settings) -> Sentence:
    if not settings.merge_adapter:
        return choice.reason
    return Sentence(
        "{reason}; the adapter {adapter} is merged into it", reason=choice.reason, adapter=settings.merged_name
    )


def _config(choice: Choice, folder: Path) -> Any:
    """transformers' configuration of a Qwen2.5-VL model; others are refused before anything else is looked at."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if config.model_type != "qwen2_5_vl":
        raise ModelLoadError(
            f"{choice.model_id} is a {config.model_type} model; this program serves Qwen2.5-VL (qwen2_5_vl) checkpoints. "
            "Other models can be served by vLLM or the like, with --engine remote before it."
        )
    return config


def _read(order: "ReadingOrder") -> tuple[Any, str]:
    """The model with its weights, and how they are quantised."""
    if order.device == "cpu" and not order.settings.device_map:
        from qwen_demo.models.cpu.load import read

        return read(order)
    from qwen_demo.models.by_transformers import read as read_by_transformers

    return read_by_transformers(order)


def _plain_generation_config(folder: Path, config: Any) -> Any:
    """What ends an answer, as the checkpoint says. The sampling defaults that it also brings would mix with what a
    request says."""
    from transformers import GenerationConfig

    shipped = GenerationConfig.from_pretrained(folder) if (folder / "generation_config.json").is_file() else None
    ends = shipped.eos_token_id if shipped and shipped.eos_token_id is not None else config.text_config.eos_token_id
    pad = shipped.pad_token_id if shipped else None
    if pad is None:
        pad = ends[0] if isinstance(ends, list) else ends
    return GenerationConfig(eos_token_id=ends, pad_token_id=pad)


def _attention(settings: Settings, device: str) -> str:
    if settings.attention != "auto":
        return settings.attention
    fast = device.startswith("cuda") and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if fast else "sdpa"


def _remedy(error: Exception, choice: Choice, settings: Settings) -> str:
    """What to do about it. Types first; a few libraries tell their causes by name of a package alone."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return (
            "Use a smaller model, --quantization nf4 or nf4-vision, --device-map auto to spread it over several GPUs, or a "
            "higher --memory-limit-gib if one is set."
        )
    if isinstance(error, ImportError):
        missing = error.name or ""
        if "flash" in missing or "flash" in str(error).lower():
            return "Install flash-attn, or use --attention sdpa."
        return "Install what is missing (pip install -r requirements.txt)."
    if settings.device_map:
        return f"Is --device-map {settings.device_map} right for this machine?"
    if choice.embedded:
        return "The embedded model's files are damaged; check them with sha256sum -c SHA256SUMS in its folder."
    if Path(choice.source).is_dir():
        return "Its files are damaged or not all there: copy or fetch the folder again."
    return (
        "Check the name, the revision and the network (or QWEN_DEMO_HF_TOKEN for a private model); "
        "--model embedded works without any of them."
    )
