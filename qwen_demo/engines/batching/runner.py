"""One forward pass: chunks of prompts, or the next token of every slot.

Holds the model's fast parts and the per-slot state on the device. Decides nothing: which slots,
which chunks and when is the scheduler's affair.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from qwen_demo.engines.batching import graphs
from qwen_demo.engines.batching.graphs import RecordedStep, StepGraphs
from qwen_demo.engines.batching.job import Job, PrefillChunk
from qwen_demo.engines.batching.kv_cache import DecodeView, KVCache, PrefillView
from qwen_demo.engines.batching.memory_plan import MemoryPlan, layer_devices
from qwen_demo.engines.batching.mixed import MixedStep, SlotState, ends
from qwen_demo.engines.batching.model.attention import MIN_ROWS, padded_length
from qwen_demo.engines.batching.model.decoder import LeanDecoder, StockDecoder
from qwen_demo.engines.batching.model.stages import PipelineStages, StagedDecoder, make_kernel_step, on_device
from qwen_demo.engines.batching.sampler import PendingTokens, SampledTokens, Sampler, swap_columns
from qwen_demo.engines.memory_errors import memory_errors
from qwen_demo.models.prompt import Prompt
from qwen_demo.types import Sampling

if TYPE_CHECKING:
    from qwen_demo.engines.batching.model.adapters import AdapterTable
    from qwen_demo.engines.grammar import Constraint

log = logging.getLogger(__name__)

# Shorter passes are bound by the CPU that starts kernels, and Triton's take longer to start than PyTorch's
# (7B in NF4 on an H100: 300 tokens 30 ms against 20, 1,051 tokens 32 against 36).
LONG = 768


class ModelRunner:
    """Runs the language model over the slots of a cache.

    Args:
        model: `Qwen2_5_VLForConditionalGeneration`.
        decoder: of it.
        plan: sizes.
        cuda_graphs: replay recorded decode steps on CUDA.
        kernels: use Triton kernels on CUDA, if they give the plain path's results there.

    Attributes:
        device: of the first layer.
        adapters: those of the decoder; None where requests never have one.
    """

    def __init__(
        self,
        model,
        decoder: LeanDecoder | StagedDecoder | StockDecoder,
        plan: MemoryPlan,
        *,
        cuda_graphs: bool,
        kernels: bool = False,
    ):
        config, devices = model.config.text_config, layer_devices(model)
        self.device, self._dtype = devices[0], model.dtype
        self.decoder = decoder
        self.adapters: AdapterTable | None = getattr(decoder, "adapters", None)
        self.cache = KVCache(
            devices,
            slots=plan.slots + plan.kept,
            length=plan.slot_tokens,
            kv_heads=config.num_key_value_heads,
            head_dim=config.hidden_size // config.num_attention_heads,
            dtype=self._dtype,
        )
        self.sampler = Sampler(plan.slots, config.vocab_size, model.lm_head.weight.device)
        self._slots = torch.arange(plan.slots, device=self.device)
        # Of each slot: its last token, where that goes, how far places move a step, its rotary offset.
        self._idle = torch.tensor([0, plan.slot_tokens, 0, 0], device=self.device)
        self._state = self._idle[:, None].repeat(1, plan.slots)
        self._tokens, self._places, self._advance, self._deltas = self._state
        self._lengths = [0] * plan.slots
        self.kernels = make_kernel_step(decoder, self.cache, plan.slots) if kernels else None
        self.mixed: MixedStep | None = None
        self._small_step: Any = self.kernels
        self.graphs: StepGraphs | None = None
        if cuda_graphs and self.device.type == "cuda" and StepGraphs.possible(model):
            ends = model.lm_head.weight.device, model.model.language_model.embed_tokens.weight.device
            self._record_steps(plan, config.hidden_size, alone=len({*devices, *ends}) == 1)

    @property
    def pass_limits(self) -> tuple[int, int]:
        """Prompt tokens of a pass that has answers, too: at most, and beside few; 0 where it never has."""
        return (0, 0) if self.mixed is None else (self.mixed.prompt_tokens, self.mixed.quiet_tokens)

    def _record_steps(self, plan: MemoryPlan, width: int, *, alone: bool) -> None:
        """Decide which passes are recorded, on one device each; `warm_up` or their first use does it."""
        batches = graphs.decode_batches(plan.slots)
        if isinstance(self.kernels, PipelineStages):
            self.kernels.record(width, sorted({*batches, *graphs.SHORT}))
        elif alone:
            self.graphs = StepGraphs(
                self._logits, batches, plan.slot_tokens, by_length=self.kernels is None, adapters=self.adapters
            )
            if self.kernels:
                self._small_step = RecordedStep(self.kernels, self.cache, width, graphs.SHORT)
                if plan.pass_tokens:
                    self.mix(plan.prefill_tokens, plan.pass_tokens)

    def mix(self, prefill_tokens: int, prompt_tokens: int) -> None:
        """Let answers and prompts share passes (`queue`); the numbers as in `MixedStep`."""
        state, sizes = SlotState(self._state), {"prefill_tokens": prefill_tokens, "prompt_tokens": prompt_tokens}
        self.mixed = MixedStep(self.decoder, self.kernels, self.cache, state, **sizes)

    @torch.inference_mode()
    @memory_errors()
    def prefill(self, chunks: Sequence[PrefillChunk]) -> torch.Tensor:
        """Compute chunks of prompts, each into its slot; gives the hidden states of their last tokens [chunks, hidden]."""
        most = self.decoder.chunks_at_once
        if len(chunks) > most:
            firsts = range(0, len(chunks), most)
            return torch.cat([self.prefill(chunks[first : first + most]) for first in firsts])
        chunks = _reaching_back(chunks)
        self._look_for_adapters([chunk.slot for chunk in chunks])
        x = torch.cat([self._embedded(chunk) for chunk in chunks])
        positions = torch.cat([c.sequence.prompt.positions[:, c.start : c.stop] for c in chunks], dim=1)
        positions = positions.to(self.device)
        view = PrefillView(self.cache, chunks, self._dtype)
        last = [span.stop - 1 for span in view.spans]
        if self._small_step and len(x) <= graphs.SHORT[-1]:
            return self._small_step.decode(x, positions, view.slots, view.places)[last]
        if self.kernels and len(x) >= LONG:
            return self.kernels.prefill(x, positions, view)[last]
        return self.decoder.hidden(x, positions, view)[last]

    def _look_for_adapters(self, slots: Sequence[int]) -> None:
        if self.adapters is not None:
            self.adapters.active = self.adapters.any_of(slots)

    def warm_up(self) -> None:
        """Record the steps that short conversations need."""
        if self.mixed is not None:
            try:
                self.mixed.warm_up()
                return
            except Exception:
                log.warning("passes over answers and prompts cannot be recorded here", exc_info=True)
                self.mixed = None
                torch.cuda.empty_cache()
        owners = [owner for owner in self.recorders if owner.graphs]
        try:
            for owner in owners:
                with on_device(owner.device):
                    owner.graphs.warm_up()
        except Exception:
            log.warning("steps cannot be recorded here; they run without CUDA graphs", exc_info=True)
            for owner in owners:
                owner.graphs = None
            torch.cuda.empty_cache()

    @property
    def recorders(self) -> list:
        """What has a `device` and `graphs`."""
        small = self._small_step
        steps = small.steps if isinstance(small, PipelineStages) else [small]
        return [self, *(step for step in steps if isinstance(step, RecordedStep))]

    def _embedded(self, chunk: PrefillChunk) -> torch.Tensor:
        """[tokens, hidden]: words from the table, images from their encoding."""
        start, stop, prompt = chunk.start, chunk.stop, chunk.sequence.prompt
        x = self.decoder.embed(prompt.input_ids[start:stop].to(self.device)).clone()
        for medium, feature in zip(prompt.media, chunk.sequence.features, strict=True):
            first, last = max(start, medium.start), min(stop, medium.start + medium.tokens)
            if first < last:
                x[first - start : last - start] = feature[first - medium.start : last - medium.start].to(x)
        return x

    @torch.inference_mode()
    @memory_errors()
    def first_token(
        self,
        slot: int,
        prompt: Prompt,
        sampling: Sampling,
        hidden: torch.Tensor,
        constraint: "Constraint | None" = None,
    ) -> SampledTokens:
        """Choose the first token of an answer from [1, hidden]; the slot decodes from now on."""
        self.sampler.start(slot, sampling, prompt.input_ids, constraint)
        tokens, choice = self.sampler.choose(self.decoder.logits(hidden), range(slot, slot + 1))
        self._state[1:, slot] = torch.tensor([prompt.length, 1, prompt.rope_delta])
        self._tokens[slot] = tokens[0]
        self._lengths[slot] = prompt.length
        return choice.read()

    @torch.inference_mode()
    @memory_errors()
    def decode(self, running: int) -> SampledTokens:
        """The next token of the slots 0 to `running`; what idle ones among them get means nothing."""
        longest = max(self._lengths[:running]) + 1
        self._look_for_adapters(range(running))
        if self.graphs:
            logits = self.graphs(running, longest)
        else:
            logits = self._logits(running, padded_length(longest, self.cache.length))
        tokens, choice = self.sampler.choose(logits, range(running))
        self._tokens[:running] = tokens
        self._places[:running] += self._advance[:running]
        self._lengths[:running] = [length + 1 if length else 0 for length in self._lengths[:running]]
        return choice.read()

    @torch.inference_mode()
    @memory_errors()
    def queue(self, chunks: Sequence[PrefillChunk[Job]], batch: int) -> PendingTokens:
        """Start a pass over chunks of prompts and the next tokens of the slots 0 to `batch`; nobody waits for it.

        A prompt that is whole with its chunk gets the first token of its answer, its slot decodes from now on.
        """
        assert self.mixed is not None
        beginning = [chunk.sequence for chunk in chunks if ends(chunk)]
        for job in beginning:
            self.sampler.start(job.slot, job.sampling, job.prompt.input_ids, job.constraint)
        likeliest = None
        self._look_for_adapters([*range(batch), *(chunk.slot for chunk in chunks)])
        kept = self._state.clone()
        try:
            if self.mixed.graphs is not None:
                logits, likeliest = self.mixed(chunks, batch), self._tokens[:batch]
            else:
                logits = self._mixed_logits(chunks, batch, beginning)
            tokens, choice = self.sampler.choose(logits, range(batch), likeliest)
        except BaseException:
            self._state.copy_(kept)  # a pass moves it on before tokens are chosen, and may be repeated
            raise
        if tokens is not likeliest:
            self._tokens[:batch] = tokens
        self._lengths[:batch] = [length + 1 if length else 0 for length in self._lengths[:batch]]
        for job in beginning:
            self._lengths[job.slot] = job.prompt.length
        return choice

    def _mixed_logits(self, chunks: Sequence[PrefillChunk[Job]], batch: int, beginning: list[Job]) -> torch.Tensor:
        """As `MixedStep` gives them, by the plain way, with the same effect on the state but for the tokens."""
        assert self.mixed is not None
        chunks = _reaching_back(chunks)
        x = torch.cat([self.decoder.embed(self._tokens[:0]), *(self._embedded(chunk) for chunk in chunks)])
        logits = self.mixed.plain(chunks, batch, x, max(self._lengths[:batch], default=0) + 1)
        self._places[:batch] += self._advance[:batch]
        for job in beginning:
            self._state[1:, job.slot] = torch.tensor([job.prompt.length, 1, job.prompt.rope_delta])
        return logits

    def _logits(self, batch: int, keys: int) -> torch.Tensor:
        """[batch, vocabulary] float32; attention reads the first `keys` tokens of each slot."""
        places = self._places[:batch]
        positions = (places + self._deltas[:batch]).expand(3, -1)
        x = self.decoder.embed(self._tokens[:batch])
        if self.kernels:
            return self.decoder.logits(self.kernels.decode(x, positions, self._slots[:batch], places))
        view = DecodeView(self.cache, places, keys, self._dtype)
        return self.decoder.logits(self.decoder.hidden(x, positions, view))

    @torch.inference_mode()
    def idle(self, slot: int) -> None:
        """The slot has no answer to write: its place is the cache's spare token."""
        self._state[:, slot] = self._idle
        self._lengths[slot] = 0
        self.sampler.stop(slot)
        if self.adapters is not None:
            self.adapters.give(slot, 0)

    @torch.inference_mode()
    def swap(self, a: int, b: int) -> None:
        """Two slots exchange their state (the cache does so itself)."""
        swap_columns(self._state, a, b)
        self._lengths[a], self._lengths[b] = self._lengths[b], self._lengths[a]
        self.sampler.swap(a, b)
        if self.adapters is not None:
            self.adapters.swap(a, b)

    def probe(self) -> None:
        """A step of our own, to see whether the model works; raises what it raises, or `FloatingPointError`."""
        length = 2 * MIN_ROWS
        ids = torch.arange(length)
        prompt = Prompt(ids, ids.int(), ids.expand(3, -1), 0, ())
        hidden = self.prefill([PrefillChunk.whole(prompt, slot=0)])
        with torch.inference_mode():
            finite = bool(self.decoder.logits(hidden).isfinite().all())
        if not finite:
            raise FloatingPointError("the model's outputs are not finite")

    def reset(self) -> None:
        """Forget everything, as after a failed step."""
        for slot in range(len(self._lengths)):
            self.idle(slot)
        self.cache.clear()


def _reaching_back(chunks: Sequence[PrefillChunk]) -> list[PrefillChunk]:
    """Computing a few tokens again changes nothing and keeps to shapes whose results do not depend on the chunk."""
    return [replace(chunk, start=min(chunk.start, max(0, chunk.stop - MIN_ROWS))) for chunk in chunks]
