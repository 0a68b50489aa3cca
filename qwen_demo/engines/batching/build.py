"""Puts the engine's parts together around a loaded model."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch

from qwen_demo.engines.batching import plan as planning
from qwen_demo.engines.batching.decoder import LeanDecoder, StockDecoder
from qwen_demo.engines.batching.intake import Intake
from qwen_demo.engines.batching.reuse import EncoderCache
from qwen_demo.engines.batching.stages import StagedDecoder
from qwen_demo.engines.batching.step import Stepper
from qwen_demo.engines.batching.vision import StockVision, VisionEncoder
from qwen_demo.engines.batching.worker import Mail, Worker
from qwen_demo.engines.grammar import Grammars
from qwen_demo.engines.output import Output
from qwen_demo.engines.tokens import end_ids

if TYPE_CHECKING:
    from qwen_demo.models.load import LoadedModel

log = logging.getLogger(__name__)

# On a CPU a pass over two images takes twice as long as over one, and the first would wait for the second.
PATCHES_AT_ONCE = {"cuda": 4096, "mps": 4096}


def build(settings, loaded: "LoadedModel", *, post: Callable[[Mail], None]) -> tuple[Worker, Intake, planning.Plan]:
    """Worker, intake and plan; neither thread runs yet."""
    model, prompts = loaded.model, loaded.prompts
    decoder, encoder = _parts(settings, model, loaded.device)
    plan = planning.make(settings, model, loaded.info.max_pixels, loaded.info.context_tokens)
    kernels = settings.kernels and settings.fast_path
    stepper = Stepper(model, decoder, plan, cuda_graphs=settings.cuda_graphs, kernels=kernels)
    stream = None
    if loaded.device.type == "cuda":
        # Answers in the making go before the next images.
        stream = encoder.aside.reader = torch.cuda.Stream(loaded.device, priority=-1)
        _finish_on_cuda(stepper, encoder, settings.warmup)
    # The embedded model's steps and images are too small to share; its vision encoder is not.
    own, aside = (1, 2) if loaded.info.embedded else (0, 0)
    on_owner = partial(_prepare_thread, settings.threads or own, loaded.device, stream)
    on_threads = tuple(partial(_prepare_thread, settings.threads or n, loaded.device) for n in (own, aside))
    ends = end_ids(model)
    worker = Worker(
        stepper,
        plan,
        reuse=settings.reuse,
        max_age_s=settings.cache_seconds,
        post=post,
        decode_text=lambda token: prompts.tokenizer.decode([token]),
        on_thread=on_owner,
    )
    patch = model.config.vision_config.patch_size
    intake = Intake(
        prompts=prompts,
        encoder=encoder,
        encoded=EncoderCache(plan.encoder_bytes if settings.reuse else 0, settings.cache_seconds),
        patches_at_once=min(PATCHES_AT_ONCE.get(loaded.device.type, 0), loaded.info.max_pixels // patch**2),
        slot_tokens=plan.slot_tokens,
        make_output=partial(_output, settings, prompts.tokenizer, ends),
        make_constraint=Grammars(prompts.tokenizer, model.config.text_config.vocab_size, ends).constraint,
        on_ready=worker.add,
        on_failed=lambda job, error: post([(job, error), (job, None)]),
        on_threads=on_threads,
    )
    return worker, intake, plan


def _parts(settings, model, device: torch.device):
    """Language model and vision encoder. Before the plan is made: what fused weights take is not free for it."""
    if device.type == "cuda":
        # cuDNN plans attention anew for every length and thread.
        torch.backends.cuda.enable_cudnn_sdp(False)
    visual = model.model.visual
    decoder = _decoder(settings, model)
    fast_vision = settings.fast_path and VisionEncoder.fits(visual)
    encoder = VisionEncoder(visual) if fast_vision else StockVision(visual)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return decoder, encoder


def _decoder(settings, model):
    devices = planning.layer_devices(model)
    if settings.fast_path and LeanDecoder.fits(model):
        return LeanDecoder(model)
    if settings.fast_path and StagedDecoder.fits(model, devices):
        return StagedDecoder(model, devices)
    return StockDecoder(model)


def _finish_on_cuda(stepper: Stepper, encoder, warmup: bool) -> None:
    """Last steps of the thread that loads: what it has queued must be done before others begin."""
    with torch.inference_mode(), torch.cuda.device(encoder.device):
        if stepper.kernels:
            stepper.kernels.lend(getattr(encoder, "blocks", ()))
        if warmup:
            stepper.warm_up()
    for device in {encoder.device, *stepper.cache.banks}:
        torch.cuda.synchronize(device)


def _prepare_thread(threads: int, device: torch.device, stream: "torch.cuda.Stream | None" = None) -> None:
    """All of it is each thread's own."""
    if threads:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if stream is not None:
        torch.cuda.set_stream(stream)


def _output(settings, tokenizer, ends: frozenset[int], request, sampling) -> Output:
    return Output(
        tokenizer,
        ends,
        max_new_tokens=sampling.max_new_tokens,
        stop=sampling.stop,
        repetition_guard=settings.repetition_guard and request.repetition_guard,
    )
