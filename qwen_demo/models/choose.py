"""Which model to load, and why: the answer to `--model auto`, decided before any weight is read."""

from dataclasses import dataclass
from pathlib import Path

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import machine, memory
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings

EMBEDDED_DIR = Path(__file__).parent / "embedded"
SMALL_BYTES = 10**9


@dataclass(frozen=True, slots=True)
class Choice:
    """What to hand to `from_pretrained`.

    Attributes:
        source: folder or hub id.
        model_id: what people call it.
        quantization: `nf4`, `nf4-vision`, `int4`, `int8` or `none`.
        reason: why this one, for people.
    """

    source: str
    model_id: str
    revision: str | None
    quantization: str
    reason: Sentence
    embedded: bool = False


def choose(settings: Settings) -> Choice:
    """Follow `--model`; with `auto`, look at the GPU and at the hub, or at main memory and the hub's cache."""
    if settings.model == "auto":
        return _auto(settings)
    if settings.model == "embedded":
        return _embedded(settings, Sentence("chosen with --model embedded"))
    if folder := named_folder(settings.model):
        quantization = _quantization(settings, full_size=not is_small(folder))
        return Choice(str(folder), settings.model, None, quantization, Sentence("chosen with --model"))
    from qwen_demo.models.hub.cache import cached_folder

    fetched = cached_folder(settings.model, settings.revision)
    quantization = _quantization(settings, full_size=fetched is None or not is_small(fetched))
    return Choice(settings.model, settings.model, settings.revision, quantization, Sentence("chosen with --model"))


def named_folder(name: str, flag: str = "--model") -> Path | None:
    """The folder that `--model` names; None for `auto`, `embedded` and what may be a hub id. Loads nothing.

    Args:
        flag: which gave the name, for the error.

    Raises:
        ModelLoadError: it can be none of these.
    """
    if name in ("auto", "embedded"):
        return None
    folder = Path(name).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return folder
        raise ModelLoadError(
            f"{flag} {name}: the folder has no config.json. Give the folder that holds the model's config.json, tokenizer "
            "and safetensors files."
        )
    if name.count("/") != 1 or name.startswith(("/", ".", "~")):
        raise ModelLoadError(
            f"{flag} {name}: there is no such folder, and it is not a hub id (owner/name) either. "
            "Use auto, embedded, a folder, or an id such as Qwen/Qwen2.5-VL-7B-Instruct."
        )
    return None


def is_small(folder: Path) -> bool:
    """Whether a checkpoint is of the embedded model's kind, which four bits would harm and need not make quicker."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) < SMALL_BYTES


def _embedded(settings: Settings, reason: Sentence) -> Choice:
    return Choice(str(EMBEDDED_DIR), "embedded", None, _quantization(settings, full_size=False), reason, embedded=True)


def _quantization(settings: Settings, *, full_size: bool) -> str:
    """What `auto` means here: four bits for a full-size model on a CUDA GPU or a CPU, nothing for the embedded one."""
    if settings.quantization != "auto":
        return settings.quantization
    place = machine.device()
    # ZeroGPU's share of a card has 48 GB, and its GPU is not there while weights are read.
    if not full_size or place == "mps" or machine.on_zerogpu():
        return "none"
    if place.startswith("cuda"):
        return "nf4"
    from qwen_demo.models.cpu.speed import quickest_four_bits

    return quickest_four_bits(machine.dtype_for(place, small=False))


def _auto(settings: Settings) -> Choice:
    import torch

    if machine.on_zerogpu():
        return _auto_on_zerogpu(settings)
    if not torch.cuda.is_available():
        return _auto_without_cuda(settings)
    quantization = _quantization(settings, full_size=True)
    if quantization == "int4":
        raise ModelLoadError("--quantization int4 is for CPUs. On a GPU take nf4, which is as small.")
    free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
    usable = sum(free) if settings.device_map else max(free)
    model_id = memory.largest_that_fits(usable, quantization)
    if model_id is None:
        too_few = "{free:.1f} GiB of free GPU memory are too few for Qwen2.5-VL-3B ({quantization})"
        return _embedded(settings, Sentence(too_few, free=usable / memory.GIB, quantization=quantization))
    where = _available(model_id, settings)
    if where is None:
        nowhere = "{model} would fit the GPU, but neither the model hub nor its cache has it"
        return _embedded(settings, Sentence(nowhere, model=model_id))
    return Choice(
        model_id,
        model_id,
        settings.revision,
        quantization,
        Sentence(
            "the largest that fits {free:.1f} GiB of free GPU memory; {where}", free=usable / memory.GIB, where=where
        ),
    )


def _auto_on_zerogpu(settings: Settings) -> Choice:
    """The largest: its GPU has room for all of them, and tells its memory within a call alone."""
    model_id = next(iter(memory.WEIGHTS_GIB))
    where = _available(model_id, settings)
    if where is None:
        return _embedded(settings, Sentence("neither the model hub nor its cache has {model}", model=model_id))
    reason = Sentence("ZeroGPU has room for it; {where}", where=where)
    return Choice(model_id, model_id, settings.revision, _quantization(settings, full_size=True), reason)


def _auto_without_cuda(settings: Settings) -> Choice:
    """The largest model that somebody has fetched already and that fits main memory, else the embedded one: nobody who
    starts a demo expects it to fetch gigabytes for a CPU."""
    from qwen_demo.models import fp8
    from qwen_demo.models.hub.cache import cached_folder
    from qwen_demo.models.hub.catalog import GIB, KNOWN

    fetched = [model for model in KNOWN.values() if cached_folder(model.model_id, settings.revision)]
    if not fetched:
        return _embedded(
            settings,
            Sentence("no CUDA GPU was found, and no larger model has been fetched (qwen-demo pull fetches one)"),
        )
    quantization = _quantization(settings, full_size=True)
    if quantization == "fp8":
        fp8.refuse_elsewhere()
    free = machine.available_memory()
    for model in fetched:
        if model.cpu_bytes(quantization) <= free:
            reason = Sentence(
                "found in the local cache; it fits {free:.1f} GiB of free memory, and no CUDA GPU was found",
                free=free / GIB,
            )
            return Choice(model.model_id, model.model_id, settings.revision, quantization, reason)
    return _embedded(
        settings,
        Sentence(
            "no CUDA GPU was found, and {free:.1f} GiB of free memory are too few for {model} ({quantization})",
            free=free / GIB,
            model=fetched[-1].model_id,
            quantization=quantization,
        ),
    )


def _available(model_id: str, settings: Settings) -> Sentence | None:
    """Where the model can be had from, or None. Waits at most `hub_timeout_s`."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from qwen_demo.models.hub.cache import cached_folder
    from qwen_demo.models.hub.listing import TRANSPORTS

    if cached_folder(model_id, settings.revision):
        return Sentence("found in the local cache")
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    try:
        huggingface_hub.HfApi(token=token).model_info(
            model_id, revision=settings.revision, timeout=settings.hub_timeout_s
        )
        return Sentence("from the model hub")
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None
    except Exception as error:  # the hub client's transport errors have no common public base
        if type(error).__module__.split(".")[0] in TRANSPORTS:
            return None
        raise
