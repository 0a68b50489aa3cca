"""One pass over everything that is due: the next token of every running answer, and chunks of prompts.

The weights are read once for both, and on CUDA the whole pass, from the token ids to the likeliest next ones, is one
recorded graph for each number of rows of a short list. What changes from pass to pass lies in two buffers that never
move: numbers, staged in pinned memory and copied at once, and encoded images. Nothing here waits for the device, so the
next pass can be queued while one runs. `plain` is the same pass from the lean decoder's own calls.
"""

import bisect
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from qwen_demo.engines.batching.graphs import answer_sizes, decode_batches, pass_rows, with_and_without
from qwen_demo.engines.batching.job import PrefillChunk
from qwen_demo.engines.batching.kv_cache import DecodeView, KVCache, MixedView, PrefillView
from qwen_demo.engines.batching.model.attention import padded_length

log = logging.getLogger(__name__)

MOST_CHUNKS = 64
# As many passes may be queued before their numbers are overwritten; one runs, one waits, one is being written.
STAGES = 3


def ends(chunk: PrefillChunk) -> bool:
    """Whether the prompt is whole with it, so that its answer begins."""
    return bool(chunk.stop == chunk.sequence.prompt_tokens)


@dataclass(slots=True)
class SlotState:
    """What the device knows of each slot, [slots] int64 each, rows of one tensor [4, slots].

    Attributes:
        tokens: the newest token.
        places: where that goes in the cache; of an idle slot its spare place.
        advance: how far the place moves with each step: 1, or 0 for an idle slot.
        deltas: rotary offset of the answer.
    """

    all: torch.Tensor

    @property
    def tokens(self) -> torch.Tensor:
        return self.all[0]

    @property
    def places(self) -> torch.Tensor:
        return self.all[1]

    @property
    def advance(self) -> torch.Tensor:
        return self.all[2]

    @property
    def deltas(self) -> torch.Tensor:
        return self.all[3]


class Numbers:
    """The integers of one pass, as views of one buffer.

    Args:
        prompt_tokens, slots, blocks: the largest numbers of each.
        buffer: where they lie; `size` says how long it must be.

    Attributes:
        ids, image, slots, places: [prompt_tokens]; `image` is 1 where a token's embedding is an image's.
        positions: [3, prompt_tokens].
        blocks: [blocks, 4], see `kernels.attention.attend_blocks`; the first row counts from 0 among the prompts' rows.
        last: [slots], among the prompts' rows, of the last token of a prompt that ends in this pass; -1 for others.
        state: [3, slots], what comes into the last three rows of `SlotState` for those.
    """

    def __init__(self, prompt_tokens: int, slots: int, blocks: int, buffer: torch.Tensor):
        parts = torch.split(buffer, [7 * prompt_tokens, 4 * blocks, slots, 3 * slots])
        tokens = parts[0].view(7, prompt_tokens)
        self.ids, self.image, self.slots, self.places = tokens[0], tokens[1], tokens[2], tokens[3]
        self.positions = tokens[4:]
        self.blocks, self.last, self.state = parts[1].view(blocks, 4), parts[2], parts[3].view(3, slots)
        self.buffer = buffer

    @staticmethod
    def size(prompt_tokens: int, slots: int, blocks: int) -> int:
        return 7 * prompt_tokens + 4 * blocks + 4 * slots


class MixedStep:
    """Passes over answers and prompts of a lean decoder on one device.

    Args:
        decoder: `LeanDecoder`.
        kernels: `KernelStep` of it, or None: then only `plain` can be used.
        cache: where keys and values go.
        state: of the slots.
        prefill_tokens, prompt_tokens: of prompts in a pass beside answers, and in any.

    Attributes:
        prompt_tokens, quiet_tokens: of prompts in a pass at most, and beside few answers.
        graphs: recorded passes; None where recording failed.
    """

    def __init__(self, decoder, kernels, cache: KVCache, state: SlotState, *, prefill_tokens: int, prompt_tokens: int):
        self._decoder, self._kernels, self._cache, self._state = decoder, kernels, cache, state
        self.device = cache.device(0)
        self._adapters = decoder.adapters
        self._slots = state.all.shape[1]
        self.rows = pass_rows(prefill_tokens + self._slots, prompt_tokens + self._slots)
        self.answers = answer_sizes(self._slots)
        self.alone = decode_batches(self._slots)
        self.prompt_tokens = prompt_tokens
        self.quiet_tokens = min(prompt_tokens, 2 * (prefill_tokens + self._slots) - self.answers[0])
        self.graphs: dict[tuple[int, int, bool], torch.cuda.CUDAGraph] | None = None if kernels is None else {}
        self._pool: Any = None
        self._stream: torch.cuda.Stream | None = None
        self._logits: torch.Tensor | None = None
        if kernels is not None:
            self._allocate()

    def _allocate(self) -> None:
        from qwen_demo.engines.batching.model.kernels.attention import BLOCK_TOKENS

        most, self._block_tokens = self.rows[-1] - self.answers[0], BLOCK_TOKENS
        self._block_count = -(-most // BLOCK_TOKENS) + MOST_CHUNKS
        shape = (most, self._slots, self._block_count)

        def numbers(device: "torch.device | str", *, pinned: bool = False) -> Numbers:
            buffer = torch.zeros(Numbers.size(*shape), dtype=torch.int64, device=device, pin_memory=pinned)
            made = Numbers(*shape, buffer)
            made.places.fill_(self._cache.length)
            made.last.fill_(-1)
            return made

        self._numbers = numbers(self.device)
        self._staged = [numbers("cpu", pinned=self.device.type == "cuda") for _ in range(STAGES)]
        width = self._decoder.norm.weight.shape[0]
        self._images = torch.zeros(most, width, dtype=self._decoder.norm.weight.dtype, device=self.device)
        self._all_slots = torch.arange(self._slots, device=self.device)
        self._turn = 0

    @torch.inference_mode()
    def __call__(self, chunks: Sequence[PrefillChunk], batch: int) -> torch.Tensor:
        """Queue a pass; gives the logits [batch, vocabulary] float32 of the slots 0 to `batch`, valid until the next.

        The state has moved on by a greedy step when it is done; slots that neither decode nor end their prompt here get
        numbers that mean nothing.
        """
        assert self._logits is not None and self.graphs is not None
        size = self._size(chunks, batch)
        if chunks:
            self._stage(chunks, size[1])
        key = (*size, self._adapters is not None and self._adapters.active)
        if key not in self.graphs:
            self.graphs[key] = self._record(*size)
        self.graphs[key].replay()
        return self._logits[:batch]

    def fits(self, chunks: Sequence[PrefillChunk]) -> bool:
        """Whether a pass can take these."""
        return len(chunks) <= MOST_CHUNKS and sum(chunk.tokens for chunk in chunks) <= self.prompt_tokens

    def _size(self, chunks: Sequence[PrefillChunk], batch: int) -> tuple[int, int]:
        """Rows of answers and of prompts of the recorded pass that serves."""
        tokens = sum(chunk.tokens for chunk in chunks)
        if not tokens:
            return self.alone[bisect.bisect_left(self.alone, batch)], 0
        answers = self.answers[bisect.bisect_left(self.answers, batch)]
        return answers, self.rows[bisect.bisect_left(self.rows, answers + tokens)] - answers

    def _stage(self, chunks: Sequence[PrefillChunk], rows: int) -> None:
        """Write a pass down and queue its way to the device."""
        staged = self._staged[self._turn]
        self._turn = (self._turn + 1) % STAGES
        staged.blocks[:, 1] = 0
        staged.last.fill_(-1)
        staged.image[:rows] = 0
        start = block = 0
        for chunk in chunks:
            stop = start + chunk.tokens
            self._stage_chunk(staged, chunk, slice(start, stop))
            for first in range(start, stop, self._block_tokens):
                count = min(self._block_tokens, stop - first)
                staged.blocks[block] = torch.tensor([first, count, chunk.slot, chunk.start + first - start])
                block += 1
            start = stop
        staged.slots[start:rows], staged.places[start:rows] = 0, self._cache.length
        self._numbers.buffer.copy_(staged.buffer, non_blocking=True)

    def _stage_chunk(self, staged: Numbers, chunk: PrefillChunk, span: slice) -> None:
        sequence, prompt = chunk.sequence, chunk.sequence.prompt
        staged.ids[span] = prompt.input_ids[chunk.start : chunk.stop]
        staged.positions[:, span] = prompt.positions[:, chunk.start : chunk.stop]
        staged.slots[span] = chunk.slot
        torch.arange(chunk.start, chunk.stop, out=staged.places[span])
        for medium, feature in zip(prompt.media, sequence.features, strict=True):
            first, last = max(chunk.start, medium.start), min(chunk.stop, medium.start + medium.tokens)
            if first < last:
                to = slice(span.start + first - chunk.start, span.start + last - chunk.start)
                staged.image[to] = 1
                self._images[to].copy_(feature[first - medium.start : last - medium.start], non_blocking=True)
        if ends(chunk):
            staged.last[chunk.slot] = span.stop - 1
            staged.state[:, chunk.slot] = torch.tensor([prompt.length, 1, prompt.rope_delta])

    def _pass(self, answers: int, prompts: int) -> torch.Tensor:
        """Everything from token ids to logits [answers, vocabulary], and the state's step."""
        state = self._state.all[:, :answers]
        hidden = self._hidden(state, prompts) if prompts else self._decoded(state)
        logits = self._decoder.logits(hidden)
        _, places, advance, deltas = state
        moved = torch.stack([places + advance, advance, deltas])
        if prompts:
            begins = self._numbers.last[:answers] >= 0
            moved = torch.where(begins, self._numbers.state[:, :answers], moved)
        state[1:] = moved
        state[0] = logits.argmax(-1)
        return logits

    def _decoded(self, state: torch.Tensor) -> torch.Tensor:
        """[4, answers] -> hidden states [answers, hidden] of their next tokens."""
        tokens, places, _, deltas = state
        positions = (places + deltas).expand(3, -1)
        return self._kernels.decode(self._decoder.embed(tokens), positions, self._all_slots[: len(tokens)], places)

    def _hidden(self, state: torch.Tensor, prompts: int) -> torch.Tensor:
        """The same with prompts beside them: where one ends, its last hidden state is its slot's."""
        from qwen_demo.engines.batching.model.kernels.step import MixedRows

        (tokens, places, _, deltas), numbers, answers = state, self._numbers, state.shape[1]
        words = self._decoder.embed(torch.cat([tokens, numbers.ids[:prompts]]))
        image = numbers.image[:prompts, None] > 0
        own, last = self._all_slots[:answers], numbers.last[:answers]
        blocks = numbers.blocks[: -(-prompts // self._block_tokens) + MOST_CHUNKS].clone()
        blocks[:, 0] += answers
        rows = MixedRows(
            torch.cat([words[:answers], torch.where(image, self._images[:prompts], words[answers:])]),
            torch.cat([(places + deltas).expand(3, -1), numbers.positions[:, :prompts]], 1),
            torch.cat([own, numbers.slots[:prompts]]),
            torch.cat([places, numbers.places[:prompts]]),
            answers,
            blocks,
        )
        return self._kernels.mixed(rows)[torch.where(last >= 0, last + answers, own)]

    def plain(self, chunks: Sequence[PrefillChunk], batch: int, x: torch.Tensor, longest: int) -> torch.Tensor:
        """The same from the decoder's own calls; leaves the state as it is.

        Args:
            x: [tokens, hidden] embeddings of the chunks.
            longest: how many cached tokens the answers' attention must cover, their own included.
        """
        decoder, places = self._decoder, self._state.places[:batch]
        keys = padded_length(longest, self._cache.length)
        prompts = PrefillView(self._cache, chunks, x.dtype) if chunks else None
        view = MixedView(DecodeView(self._cache, places, keys, x.dtype), prompts, batch)
        positions = [c.sequence.prompt.positions[:, c.start : c.stop].to(self.device) for c in chunks]
        positions.insert(0, (places + self._state.deltas[:batch]).expand(3, -1))
        x = torch.cat([decoder.embed(self._state.tokens[:batch]), x])
        hidden = decoder.hidden(x, torch.cat(positions, 1), view)
        rows = list(range(batch))
        for chunk, span in zip(chunks, prompts.spans if prompts else (), strict=True):
            if ends(chunk):
                rows[chunk.slot] = batch + span.stop - 1
        return decoder.logits(hidden[rows])

    def warm_up(self) -> None:
        """Record all passes, the largest first, so that the others find their memory."""
        assert self.graphs is not None
        sizes = [(n, rows - n) for rows in reversed(self.rows) for n in reversed(self.answers) if n < rows]
        for size in [*sizes, *((answers, 0) for answers in reversed(self.alone))]:
            for adapted in with_and_without(self._adapters):
                self.graphs[(*size, adapted)] = self._record(*size)

    def _record(self, answers: int, prompts: int) -> torch.cuda.CUDAGraph:
        kept = self._state.all.clone()
        side = self._stream = self._stream or torch.cuda.Stream(priority=-1)
        side.wait_stream(torch.cuda.current_stream())
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(side):
            # Libraries choose kernels on first use, which a recording must not contain. What it stores is stored again.
            made = self._pass(answers, prompts)
            self._state.all.copy_(kept)
            if self._logits is None:
                self._logits = made.new_empty(self._slots, made.shape[-1])
            side.synchronize()
            # Only this thread's calls belong to the recording: the vision encoder runs in another one.
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            graph.capture_begin(self._pool, capture_error_mode="thread_local")
            try:
                self._logits[:answers].copy_(self._pass(answers, prompts))
            finally:
                graph.capture_end()
        torch.cuda.current_stream().wait_stream(side)
        return graph
