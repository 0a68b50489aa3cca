"""Weights through transformers' `from_pretrained`: on GPUs, and spread over devices."""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import fp8, machine
from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.progress import ReadingProgress
from qwen_demo.models.reading import ReadingOrder
from qwen_demo.settings import variables_set

# Left unquantised; transformers 5 matches full module names.
HEAD = ["lm_head"]
VISION_AND_HEAD = ["model.visual", *HEAD]
# What transformers needs for files that were quantised by these methods, by import name; none of it is pinned here.
LIBRARIES = {"gptq": "gptqmodel", "awq": "gptqmodel", "fp8": "kernels"}


def read(order: ReadingOrder) -> tuple[Any, str]:
    """The model, and how it is quantised.

    Raises:
        ModelLoadError: the files are quantised in a way that nothing here reads.
    """
    quantization, arguments = _quantization(order)
    if order.merging is not None and (quantization not in ("none", "fp8") or order.settings.device_map):
        raise ModelLoadError(
            f"--merge-adapter needs the whole weights on this device, and here they come {_how(quantization, order)}. Write "
            f"the merged model once (qwen-demo finetune merge ADAPTER --base {order.choice.model_id} --out FOLDER) and serve "
            "that (--model FOLDER); or serve the adapter beside the model (--adapters)."
        )
    # ZeroGPU has no GPU before a call: weights come to the CPU and are moved.
    place = "cpu" if machine.on_zerogpu() else order.device
    # The threads that load ahead are for CUDA. On Apple's GPU and where weights are moved later they cost memory, and on
    # ZeroGPU they would touch a GPU that is not there.
    ahead = {} if place.startswith("cuda") else {"HF_DEACTIVATE_ASYNC_LOAD": "1"}
    with told(order), variables_set(ahead):
        model = _from_pretrained(order, place, arguments)
    _compute_in(model, order.dtype)
    if order.merging is not None:
        order.merging.into(model)
    if quantization == "fp8":
        order.progress("Quantising to eight-bit floats")
        fp8.quantise(model)
    if place != order.device:
        model.to(order.device)
    return model, quantization


def _how(quantization: str, order: ReadingOrder) -> str:
    return (
        f"in {quantization}" if quantization not in ("none", "fp8") else f"by --device-map {order.settings.device_map}"
    )


def _from_pretrained(order: ReadingOrder, place: str, arguments: Mapping[str, Any]) -> Any:
    from transformers import Qwen2_5_VLForConditionalGeneration

    return Qwen2_5_VLForConditionalGeneration.from_pretrained(
        order.checkpoint.folder,
        trust_remote_code=False,
        dtype=order.dtype,
        attn_implementation=order.attention,
        device_map=order.settings.device_map or {"": place},
        **arguments,
    ).eval()


def _compute_in(model: Any, dtype: Any) -> None:
    """Whole weights beside quantised ones keep the files' dtype otherwise."""
    for parameter in model.parameters():
        if parameter.is_floating_point() and parameter.dtype != dtype and not hasattr(parameter, "quant_state"):
            parameter.data = parameter.data.to(dtype)


def _quantization(order: ReadingOrder) -> tuple[str, dict[str, Any]]:
    """The label, and arguments for `from_pretrained`."""
    found, asked = order.checkpoint.quantization, order.choice.quantization
    if found.kind == "none":
        return asked, {"quantization_config": quantization_config(asked, order.dtype)}
    if order.settings.quantization not in ("auto", found.kind):
        raise ModelLoadError(
            f"{order.choice.model_id} is quantised already ({found.label}); --quantization {order.settings.quantization} "
            "cannot change that. Leave it away, or choose the unquantised model."
        )
    if found.kind in ("nf4", "fp4", "int8"):
        config = order.config
        config.quantization_config = {
            **dict(order.checkpoint.config["quantization_config"]),
            "llm_int8_skip_modules": unquantised_layers(order.checkpoint),
            **({} if found.kind == "int8" else {"bnb_4bit_compute_dtype": str(order.dtype).removeprefix("torch.")}),
        }
        return found.label, {"config": config}
    library = LIBRARIES.get(found.kind)
    if library is None or importlib.util.find_spec(library) is None:
        raise refused(order.choice.model_id, found.label)
    return found.label, {}


def refused(model_id: str, label: str) -> ModelLoadError:
    """For files that nothing here reads on a GPU."""
    return ModelLoadError(
        f"{model_id} is quantised already ({label}), in a way that is not read on this machine's GPU. Serve it with vLLM "
        "and put --engine remote --base-url before it; or give the unquantised model, which is quantised to NF4 as it is "
        "loaded."
    )


def unquantised_layers(checkpoint: Checkpoint) -> list[str]:
    """Layers that the files hold in full, by today's names.

    A configuration's own list is not believed: it has the names of the transformers that wrote it, or endings alone.
    """
    names = checkpoint.weights
    quantised = {name.rsplit(".weight.", 1)[0] for name in names if ".weight.absmax" in name}
    quantised |= {name.removesuffix(".SCB") for name in names if name.endswith(".SCB")}
    layers = {name.removesuffix(".weight") for name in names if name.endswith(".weight")}
    kept = sorted(layers - quantised | set(HEAD) - quantised)
    # One word for the whole encoder where nothing of it is quantised.
    if not any(name.startswith("model.visual.") for name in quantised):
        kept = ["model.visual", *(name for name in kept if not name.startswith("model.visual."))]
    return kept


def quantization_config(quantization: str, compute_dtype: Any) -> Any:
    """For transformers to quantise as it reads; None for `none`.

    Raises:
        ModelLoadError: for `int4`, which is made for CPUs.
    """
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
    if quantization == "int4":
        raise ModelLoadError("--quantization int4 is for CPUs. On a GPU take nf4, which is as small.")
    return None


@contextmanager
def told(order: ReadingOrder) -> Iterator[None]:
    """transformers' bar of loaded weights, as sentences; standard error is the log's."""
    from transformers.utils import logging as bars

    bars.disable_progress_bar()
    if not hasattr(bars, "set_tqdm_hook"):  # older releases, which machines for measurements may have
        yield
        return
    progress = ReadingProgress(order.checkpoint, order.progress)
    before = bars.set_tqdm_hook(lambda factory, args, kwargs: _Bar(progress, *args, **kwargs))
    try:
        yield
    finally:
        bars.set_tqdm_hook(before)


class _Bar:
    """As much of tqdm as transformers uses."""

    def __init__(
        self, progress: ReadingProgress, items: Any = None, *args: Any, total: int | None = None, **kwargs: Any
    ):
        self._progress, self._items = progress, items
        self.total = total or (len(items) if hasattr(items, "__len__") else 0)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, n: float | None = 1) -> None:
        if self.total:
            self._progress.add_share((n or 0) / self.total)

    def set_postfix(self, *args: Any, **kwargs: Any) -> None:
        pass

    def close(self) -> None:
        pass
