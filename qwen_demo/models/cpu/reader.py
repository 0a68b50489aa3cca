"""A checkpoint's weights into a model on the CPU: a tensor at a time, quantised as it is read, nothing kept twice.

Files are mapped and unmapped for each layer, so that what has been read does not count as this process's memory. Of the
table of words, which is used a row at a time, only the mapping is kept where nothing else reads it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import nn

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.checkpoint import Checkpoint, StoredWeight
from qwen_demo.models.cpu import layers, sources
from qwen_demo.models.cpu.head import RescoredHead
from qwen_demo.models.cpu.layers import WeightsPlan
from qwen_demo.models.cpu.stored import StoredEmbedding
from qwen_demo.models.progress import ReadingProgress
from qwen_demo.sentences import Sentence

if TYPE_CHECKING:
    from qwen_demo.models.merging import Merging

HEAD, WORDS = "lm_head", "model.language_model.embed_tokens"


def empty_model(config: Any, dtype: torch.dtype, attention: str) -> Any:
    """A `Qwen2_5_VLForConditionalGeneration` whose parameters take no memory yet; its buffers are real."""
    from accelerate import init_empty_weights
    from transformers import Qwen2_5_VLForConditionalGeneration

    with init_empty_weights(include_buffers=False):
        model = Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=dtype, attn_implementation=attention)
    return model.eval().requires_grad_(False)


def read_into(
    model: Any,
    checkpoint: Checkpoint,
    plan: WeightsPlan,
    progress: Callable[[Sentence], None] = lambda sentence: None,
    merging: "Merging | None" = None,
) -> None:
    """Give every parameter of `model` its weights.

    Args:
        merging: an adapter that is merged into them, before they are quantised.

    Raises:
        ModelLoadError: weights are missing, or have other shapes than the configuration says.
    """
    if merging and HEAD in merging.halves and plan.kind != "none":
        raise ModelLoadError(
            "The adapter changes the output layer, which is kept whole on the disk: give --quantization none."
        )
    reported = ReadingProgress(checkpoint, progress)
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    tied = checkpoint.ties_embeddings
    for name in sorted(linears, key=lambda name: _place(checkpoint, name)):
        if name == HEAD and (tied or plan.kind != "none"):
            continue
        parts = checkpoint_parts(checkpoint, name)
        tensors = _opened(parts)
        source = sources.read(tensors, zero_is_stored_less_one=_is_first_gptq(checkpoint))
        if merging and name in merging.halves and isinstance(source, sources.Dense):
            source = _merged(source, name, merging, plan)
        made = layers.linear(layers.role_of(name), source, _bias(checkpoint, name), plan)
        _check(name, (made.out_features, made.in_features), (linears[name].out_features, linears[name].in_features))
        model.set_submodule(name, made)
        reported.add(parts.values(), sum(tensor.nbytes for tensor in tensors.values()))
    _read_words(model, checkpoint, plan, tied=tied)
    for name, parameter in [(n, p) for n, p in model.named_parameters() if p.is_meta]:
        tensor = _tensor(checkpoint, name).to(plan.dtype, copy=True)
        _check(name, tensor.shape, parameter.shape)
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, nn.Parameter(tensor, requires_grad=False))


def _merged(source: sources.Dense, name: str, merging: "Merging", plan: WeightsPlan) -> sources.Dense:
    """In float32 where it is rounded afterwards; what is kept as the files are is rounded to what they have."""
    weight = merging.weight(name, source.weight)
    as_the_files = plan.kind != "none" and layers.role_of(name) == "vision"
    return sources.Dense(weight.to(source.weight.dtype) if as_the_files else weight)


def checkpoint_parts(checkpoint: Checkpoint, name: str) -> dict[str, StoredWeight]:
    """Where the tensors of a layer's weights are, by their endings."""
    parts = {
        ending: checkpoint.weights[f"{name}.{ending}"]
        for ending in sources.PARTS
        if f"{name}.{ending}" in checkpoint.weights
    }
    if not parts:
        raise _missing(checkpoint, f"{name}.weight")
    return parts


def _read_words(model: Any, checkpoint: Checkpoint, plan: WeightsPlan, *, tied: bool) -> None:
    """The table of words, and the output layer that is made of it."""
    table = _tensor(checkpoint, f"{WORDS}.weight")
    _check(f"{WORDS}.weight", table.shape, model.get_submodule(WORDS).weight.shape)
    if plan.kind == "none":
        weight = nn.Parameter(table.to(plan.dtype, copy=True), requires_grad=False)
        model.get_submodule(WORDS).weight = weight
        if tied:
            model.get_submodule(HEAD).weight = weight
        return
    head = {"weight": checkpoint.weights[f"{WORDS}.weight"]} if tied else checkpoint_parts(checkpoint, HEAD)
    source = sources.read(_opened(head), zero_is_stored_less_one=_is_first_gptq(checkpoint))
    made = layers.linear("head", source, None, plan)
    # Second mappings: of the first ones every page has been read.
    table = _tensor(checkpoint, f"{WORDS}.weight")
    model.set_submodule(WORDS, StoredEmbedding(table, plan.dtype))
    if isinstance(made, RescoredHead):
        made.rows = table if tied else mapped(head["weight"])
    model.set_submodule(HEAD, made)


def _place(checkpoint: Checkpoint, name: str) -> tuple[str, str]:
    """File by file, as the disk likes it."""
    stored = next(
        (checkpoint.weights[n] for n in (f"{name}.weight", f"{name}.qweight") if n in checkpoint.weights), None
    )
    return (stored.file.name, name) if stored else ("", name)


def _is_first_gptq(checkpoint: Checkpoint) -> bool:
    said: Mapping[str, Any] = checkpoint.config.get("quantization_config") or {}
    return said.get("checkpoint_format", "gptq") != "gptq_v2"


def _bias(checkpoint: Checkpoint, name: str) -> torch.Tensor | None:
    if f"{name}.bias" not in checkpoint.weights:
        return None
    return _tensor(checkpoint, f"{name}.bias").clone()


def _opened(parts: Mapping[str, StoredWeight]) -> dict[str, torch.Tensor]:
    return {ending: mapped(weight) for ending, weight in parts.items()}


def _tensor(checkpoint: Checkpoint, name: str) -> torch.Tensor:
    if name not in checkpoint.weights:
        raise _missing(checkpoint, name)
    return mapped(checkpoint.weights[name])


def mapped(weight: StoredWeight) -> torch.Tensor:
    """The tensor as a mapping of the file, which lives as long as the tensor."""
    with safe_open(weight.file, "pt") as opened:
        tensor: torch.Tensor = opened.get_tensor(weight.name)
    return tensor


def _check(name: str, shape, expected) -> None:
    if tuple(shape) != tuple(expected):
        raise ModelLoadError(
            f"{name} has the shape {list(shape)}, and config.json says {list(expected)}: weights and configuration are of "
            "two models. Fetch the folder again."
        )


def _missing(checkpoint: Checkpoint, name: str) -> ModelLoadError:
    return ModelLoadError(
        f"{checkpoint.folder} has no weights for {name}. The files are not complete, or of another model. Fetch them again."
    )
