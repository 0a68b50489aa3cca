"""Which model to load, and why: the answer to `--model auto`, decided before any weight is read."""

from dataclasses import dataclass
from pathlib import Path

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import memory
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings

EMBEDDED_DIR = Path(__file__).parent / "embedded"


@dataclass(frozen=True, slots=True)
class Choice:
    """What to hand to `from_pretrained`.

    Attributes:
        source: folder or hub id.
        model_id: what people call it.
        quantization: `nf4`, `int8` or `none`.
        reason: why this one, for people.
    """

    source: str
    model_id: str
    revision: str | None
    quantization: str
    reason: Sentence
    embedded: bool = False


def choose(settings: Settings) -> Choice:
    """Follow `--model`; with `auto`, look at the GPU and then at the hub."""
    if settings.model == "auto":
        return _auto(settings)
    if settings.model == "embedded":
        return _embedded(settings, Sentence("chosen with --model embedded"))
    quantization = _quantization(settings, full_size=True)
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelLoadError(
                f"--model {settings.model}: the folder has no config.json. Give the folder that holds the model's "
                "config.json, tokenizer and safetensors files."
            )
        return Choice(str(folder), settings.model, None, quantization, Sentence("chosen with --model"))
    if settings.model.count("/") != 1 or settings.model.startswith(("/", ".", "~")):
        raise ModelLoadError(
            f"--model {settings.model}: there is no such folder, and it is not a hub id (owner/name) either. "
            "Use auto, embedded, a folder, or an id such as Qwen/Qwen2.5-VL-7B-Instruct."
        )
    return Choice(settings.model, settings.model, settings.revision, quantization, Sentence("chosen with --model"))


def _embedded(settings: Settings, reason: Sentence) -> Choice:
    return Choice(str(EMBEDDED_DIR), "embedded", None, _quantization(settings, full_size=False), reason, embedded=True)


def _quantization(settings: Settings, *, full_size: bool) -> str:
    if settings.quantization != "auto":
        return settings.quantization
    import torch

    return "nf4" if full_size and torch.cuda.is_available() else "none"


def _auto(settings: Settings) -> Choice:
    import torch

    if not torch.cuda.is_available():
        return _embedded(settings, Sentence("no CUDA GPU was found"))
    quantization = _quantization(settings, full_size=True)
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


def _available(model_id: str, settings: Settings) -> Sentence | None:
    """Where the model can be had from, or None. Waits at most `hub_timeout_s`."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        huggingface_hub.snapshot_download(
            model_id, revision=settings.revision, local_files_only=True, allow_patterns=["*.json", "*.safetensors"]
        )
        return Sentence("found in the local cache")
    except (LocalEntryNotFoundError, FileNotFoundError):
        pass
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    try:
        huggingface_hub.HfApi(token=token).model_info(
            model_id, revision=settings.revision, timeout=settings.hub_timeout_s
        )
        return Sentence("from the model hub")
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None
    except Exception as error:  # the hub client's transport errors have no common public base
        if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "requests"):
            return None
        raise
