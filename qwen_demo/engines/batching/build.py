"""Puts the engine's parts together around a loaded model.

Runs once, on the thread that loads, and starts no other; here alone is decided what runs on which device.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from qwen_demo.engines.batching.encoder_cache import CachedEncoder, EncoderCache
from qwen_demo.engines.batching.job import Job
from qwen_demo.engines.batching.loop import EngineLoop, Outbox
from qwen_demo.engines.batching.memory_plan import ENCODER_PATCHES, SLOTS, MemoryPlan, layer_devices, make_plan
from qwen_demo.engines.batching.model.adapters import AdapterTable
from qwen_demo.engines.batching.model.decoder import LeanDecoder, StockDecoder
from qwen_demo.engines.batching.model.stages import StagedDecoder
from qwen_demo.engines.batching.model.vision import StockVisionEncoder, VisionEncoder
from qwen_demo.engines.batching.preprocessor import Preprocessor
from qwen_demo.engines.batching.runner import ModelRunner
from qwen_demo.engines.grammar import Constraint, Grammars
from qwen_demo.engines.output import Output
from qwen_demo.engines.right_of_way import Rest
from qwen_demo.engines.tokens import end_ids
from qwen_demo.errors import AdapterRefused, SettingsError
from qwen_demo.models import adapters as folders
from qwen_demo.models.choose import choose
from qwen_demo.models.hub.fetch import folder_of
from qwen_demo.models.load import threads_for
from qwen_demo.models.tools.hermes import stops
from qwen_demo.types import ChatRequest, Sampling

if TYPE_CHECKING:
    from qwen_demo.models.load import LoadedModel
    from qwen_demo.settings import Settings

log = logging.getLogger(__name__)

# On a CPU a pass over two images takes twice as long as over one, and the first would wait for the second.
PATCHES_AT_ONCE = {"cuda": ENCODER_PATCHES, "mps": ENCODER_PATCHES}


class EngineParts(NamedTuple):
    """What a running engine is made of."""

    loop: EngineLoop
    preprocessor: Preprocessor
    plan: MemoryPlan


def build(
    settings: "Settings",
    loaded: "LoadedModel",
    *,
    publish: Callable[[Outbox], None],
    rest: Rest = lambda worked_s, over: None,
) -> EngineParts:
    """All parts; no thread runs yet."""
    model, prompts = loaded.model, loaded.prompts
    decoder, vision = _networks(settings, model, loaded.device)
    adapters = _adapter_table(settings, loaded, decoder)
    plan = make_plan(settings, model, loaded.info.max_pixels, loaded.info.context_tokens)
    kernels = settings.kernels and settings.fast_path
    runner = ModelRunner(model, decoder, plan, cuda_graphs=settings.cuda_graphs, kernels=kernels)
    if adapters is not None:
        _load_adapters(adapters, settings, deinterleaved=getattr(runner.kernels, "product", False))
    stream = None
    if loaded.device.type == "cuda":
        # Answers in the making go before the next images.
        stream = vision.side_stream.reader = torch.cuda.Stream(loaded.device, priority=-1)
        _finish_on_cuda(runner, vision, settings.warmup)
    vision.side_stream.patches = prompts.patches
    encoder = _cached_encoder(settings, loaded, plan, vision)
    if plan.pass_tokens and isinstance(vision, VisionEncoder):
        vision.record(encoder.patches_at_once)
    # The embedded model's steps and images are too small to share; its vision encoder is not.
    many = threads_for(settings, loaded.device.type, embedded=loaded.info.embedded)
    step_threads, encoder_threads = (1, many) if loaded.info.embedded else (many, many)
    ends = end_ids(model)

    def refuse(job: Job, error: Exception) -> None:
        publish([(job, error), (job, None)])

    loop = EngineLoop(
        runner,
        plan,
        encoder.cache,
        reuse=settings.reuse,
        max_age_s=settings.cache_seconds,
        publish=publish,
        release=lambda job: preprocessor.release(job),
        decode_text=lambda token: prompts.tokenizer.decode([token]),
        on_thread=partial(_prepare_thread, settings.threads or step_threads, loaded.device, stream),
        rest=rest,
    )
    preprocessor = Preprocessor(
        prompts=prompts,
        encoder=encoder,
        slot_tokens=plan.slot_tokens,
        adapters=adapters,
        make_output=partial(_output, settings, prompts.tokenizer, ends),
        make_constraint=partial(
            _constraint, settings, Grammars(prompts.tokenizer, model.config.text_config.vocab_size, ends)
        ),
        on_ready=loop.add,
        on_failed=refuse,
        on_threads=(
            partial(_prepare_thread, settings.threads or step_threads, loaded.device),
            partial(_prepare_thread, settings.threads or encoder_threads, loaded.device),
        ),
        rest=rest,
    )
    return EngineParts(loop, preprocessor, plan)


def _cached_encoder(settings: "Settings", loaded: "LoadedModel", plan: MemoryPlan, vision) -> CachedEncoder:
    cache = EncoderCache(plan.encoder_bytes if settings.reuse else 0, settings.cache_seconds)
    most = loaded.info.max_pixels // loaded.model.config.vision_config.patch_size**2
    return CachedEncoder(vision, cache, min(PATCHES_AT_ONCE.get(loaded.device.type, 0), most))


def _networks(settings: "Settings", model, device: torch.device):
    """Language model and vision encoder. Before the plan is made: what fused weights take is not free for it."""
    if device.type == "cuda":
        # cuDNN plans attention anew for every length and thread.
        torch.backends.cuda.enable_cudnn_sdp(False)
    visual = model.model.visual
    decoder = _decoder(settings, model)
    fast_vision = settings.fast_path and VisionEncoder.fits(visual)
    encoder = VisionEncoder(visual) if fast_vision else StockVisionEncoder(visual)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return decoder, encoder


def _decoder(settings: "Settings", model):
    devices = layer_devices(model)
    if settings.fast_path and LeanDecoder.fits(model):
        return LeanDecoder(model)
    if settings.fast_path and StagedDecoder.fits(model, devices):
        return StagedDecoder(model, devices)
    return StockDecoder(model)


def _adapter_table(settings: "Settings", loaded: "LoadedModel", decoder) -> AdapterTable | None:
    """Room for adapters, before the plan is made; None where no request can name one."""
    if not settings.has_adapters:
        return None
    if not isinstance(decoder, LeanDecoder):
        raise SettingsError(
            "Adapters beside the model need its layers on one device and the fast path: leave out --device-map and "
            "--no-fast-path, or --adapters."
        )
    text = loaded.model.model.language_model
    shapes = {
        f"model.language_model.{name}": (int(module.out_features), int(module.in_features))
        for name, module in text.named_modules()
        if name.startswith("layers.") and hasattr(module, "out_features")
    }

    # `--model auto` would choose anew, by the memory that is left beside the model.
    answering = settings.model_copy(update={"model": loaded.info.model_id})

    def check_base(adapter: folders.AdapterFolder) -> None:
        folders.check_base(adapter, loaded.info.model_id, lambda: _fingerprint(answering))

    decoder.adapters = AdapterTable(
        shapes,
        len(text.layers),
        size=settings.max_adapters,
        rank=settings.adapter_rank,
        slots=settings.slots or SLOTS[loaded.device.type],
        like=torch.empty(0, dtype=loaded.model.dtype, device=loaded.device),
        check_base=check_base,
    )
    return decoder.adapters


def _load_adapters(table: AdapterTable, settings: "Settings", *, deinterleaved: bool) -> None:
    """Those of the start. Raises `SettingsError`."""
    if deinterleaved:
        table.keep_deinterleaved()
    for name, folder in settings.named_adapters.items():
        try:
            table.release(table.acquire(folders.named(name, folder, settings.adapter_mib << 20)))
        except AdapterRefused as error:
            raise SettingsError(f"--adapters {name}: {error}") from error


def _fingerprint(settings: "Settings") -> str:
    choice = choose(settings)
    return folders.fingerprint(folder_of(choice, settings, lambda stage: None))


def _finish_on_cuda(runner: ModelRunner, vision, warmup: bool) -> None:
    """Last steps of the thread that loads: what it has queued must be done before others begin."""
    with torch.inference_mode(), torch.cuda.device(vision.device):
        if runner.kernels:
            runner.kernels.install(getattr(vision, "blocks", ()))
        if warmup:
            runner.warm_up()
    for device in {vision.device, *runner.cache.banks}:
        torch.cuda.synchronize(device)


def _prepare_thread(threads: int, device: torch.device, stream: "torch.cuda.Stream | None" = None) -> None:
    """All of it is each thread's own."""
    if threads:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if stream is not None:
        torch.cuda.set_stream(stream)


def _output(settings: "Settings", tokenizer, ends: frozenset[int], request: ChatRequest, sampling: Sampling) -> Output:
    held = request.held
    return Output(
        tokenizer,
        ends,
        max_new_tokens=sampling.max_new_tokens,
        stop=stops(request),
        repetition_guard=settings.repetition_guard and request.repetition_guard and not (held and held.tools),
        must_be_whole=held is not None,
    )


def _constraint(settings: "Settings", grammars: Grammars, job: Job) -> Constraint | None:
    held = job.request.held
    if held is not None and not settings.repetition_guard:
        held = replace(held, repetition_guard=False)
    return grammars.of(held, job.sampling.max_new_tokens, job.output.cut)
