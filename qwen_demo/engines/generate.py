"""One transformers `generate` per request, in a worker thread: simple, and the reference.

Answers do not depend on what else runs: positions are passed in, sampling has its own random
state, and nothing of a request is kept on the model. Works wherever transformers works.
"""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qwen_demo.engines.right_of_way import RightOfWay
from qwen_demo.errors import EngineFailed, InvalidRequest, NotReady, OutOfMemory, QwenDemoError
from qwen_demo.models.load import LoadedModel, load
from qwen_demo.models.tools.hermes import stops
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Event, Finished, Health, Held, ModelInfo, Sampling, TextDelta, Timing, Usage

if TYPE_CHECKING:
    from qwen_demo.engines.tokens import AnswerStreamer
    from qwen_demo.models.prompt import Prompt

log = logging.getLogger(__name__)


class _Model:
    """A loaded model with what a request needs of it."""

    def __init__(self, loaded: LoadedModel, *, repetition_guard: bool):
        from qwen_demo.engines import tokens, zerogpu
        from qwen_demo.engines.grammar import Grammars

        self.prompts = loaded.prompts
        self._repetition_guard = repetition_guard
        self.vision_clock = tokens.VisionClock(loaded.model)
        self.end_ids = tokens.end_ids(loaded.model)
        vocabulary = loaded.model.config.text_config.vocab_size
        grammars = Grammars(loaded.prompts.tokenizer, vocabulary, self.end_ids)
        if zerogpu.is_active():
            self.run = zerogpu.borrowed(loaded.model, loaded.device, grammars)
        else:
            self.run = partial(tokens.run, loaded.model, loaded.device, grammars)

    def held(self, request: ChatRequest) -> Held | None:
        held = request.held
        return replace(held, repetition_guard=held.repetition_guard and self._repetition_guard) if held else None

    def streamer(self, request: ChatRequest, max_new_tokens: int) -> "AnswerStreamer":
        from qwen_demo.engines.output import Output
        from qwen_demo.engines.tokens import AnswerStreamer

        tokenizer, held = self.prompts.tokenizer, self.held(request)
        output = Output(
            tokenizer,
            self.end_ids,
            max_new_tokens=max_new_tokens,
            stop=stops(request),
            repetition_guard=self._repetition_guard and request.repetition_guard and not (held and held.tools),
            must_be_whole=held is not None,
        )
        return AnswerStreamer(tokenizer, output)


class GenerateEngine:
    """Runs up to `max_running` requests at once on one model.

    Args:
        settings: which model, and the bounds.
        loader: gives the model; replaced in tests.
    """

    def __init__(self, settings: Settings, loader: Callable[..., LoadedModel] = load):
        self._settings = settings
        self._loader = loader
        self._model: _Model | None = None
        self._right_of_way = RightOfWay()
        self._state = "starting"
        self._places = asyncio.Semaphore(settings.max_running)
        self._running = self._waiting = 0
        self._threads = ThreadPoolExecutor(settings.max_running, thread_name_prefix="generate")
        self.info = ModelInfo(model_id=settings.model, engine="generate")

    async def start(self) -> None:
        """Load the model. Raises `ModelLoadError`."""
        await asyncio.to_thread(self.load)

    def load(self) -> None:
        """The blocking part of `start`."""
        self._right_of_way = RightOfWay.of(self._settings)
        loaded = self._loader(self._settings, self._progress)
        self.info = replace(loaded.info, engine="generate", json_schema=True)
        self._model = _Model(loaded, repetition_guard=self._settings.repetition_guard)
        self._progress("ready")

    def _progress(self, stage: str) -> None:
        self._state = stage
        log.info("%s", stage)

    def health(self) -> Health:
        ready = self._state == "ready"
        stats = self._right_of_way.stats()
        return Health(ready, self._running, self._waiting, self._state, self._settings.max_running, stats)

    async def close(self) -> None:
        self._state = "closed"
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._model = None
        self._right_of_way.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        if self._model is None:
            raise NotReady(f"The model is not ready: {self._state}.")
        if request.adapter is not None:
            raise InvalidRequest("The generate engine answers without adapters.", field="model")
        arrived = time.perf_counter()
        self._waiting += 1
        self._right_of_way.tell(self._places.locked())
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
            self._right_of_way.tell(self._waiting > 0)
        loop = asyncio.get_running_loop()
        job = _Job(self._model, request, arrived, loop, self._right_of_way)
        self._running += 1
        # A copied context carries the caller's identity to where ZeroGPU looks for it.
        worker = loop.run_in_executor(self._threads, contextvars.copy_context().run, job.run)
        worker.add_done_callback(self._free_place)
        try:
            while (event := await job.events.get()) is not None:
                yield event
            await worker
        finally:
            job.cancelled.set()
            await asyncio.wait({worker})

    def _free_place(self, worker: "asyncio.Future[None]") -> None:
        self._running -= 1
        self._places.release()
        if not worker.cancelled():
            worker.exception()  # marks it as seen: a caller that left will not ask


class _Job:
    """One request on its way through the worker thread."""

    def __init__(
        self,
        model: _Model,
        request: ChatRequest,
        arrived: float,
        loop: asyncio.AbstractEventLoop,
        right_of_way: RightOfWay,
    ):
        self.model, self.request, self.arrived, self.loop = model, request, arrived, loop
        self.pace = right_of_way.paced()
        self.events: asyncio.Queue[Event | None] = asyncio.Queue()
        self.cancelled = threading.Event()

    def _emit(self, event: Event | None) -> None:
        self.loop.call_soon_threadsafe(self.events.put_nowait, event)

    def run(self) -> None:
        """Everything that blocks. Errors become the package's own before they leave."""
        import torch

        from qwen_demo.engines.memory_errors import memory_errors

        try:
            with memory_errors():
                self._answer()
        except QwenDemoError:
            raise
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(
                Sentence(
                    "This request needed more GPU memory than is free. Send fewer or smaller images, lower the pixel "
                    "budget or the answer's length, or try again when fewer people ask."
                )
            ) from error
        except Exception as error:
            log.exception("request %s failed", self.request.request_id)
            raise EngineFailed("The model failed on this request; the cause is in the server's log.") from error
        finally:
            self._emit(None)

    def _answer(self) -> None:
        started = time.perf_counter()
        prompts, request = self.model.prompts, self.request
        prompt = prompts.build(request)
        sampling = replace(request.sampling, max_new_tokens=prompts.room(prompt, request.sampling.max_new_tokens))
        streamer = self.model.streamer(request, sampling.max_new_tokens)
        built = time.perf_counter()
        vision_s = self._generate(prompt, sampling, streamer)
        if self.cancelled.is_set():
            return
        ended = time.perf_counter()
        output = streamer.output
        assert output.reason, "generate ended without a reason"
        usage = Usage(prompt.length, prompt.image_tokens, len(output.ids))
        timing = Timing(
            queue_s=started - self.arrived,
            preprocess_s=built - started,
            vision_s=vision_s,
            prefill_s=streamer.first_s - built - vision_s,
            ttft_s=streamer.first_s - self.arrived,
            decode_s=ended - streamer.first_s,
            total_s=ended - self.arrived,
        )
        self._emit(Finished(output.reason, usage, timing))

    def _generate(self, prompt: "Prompt", sampling: Sampling, streamer: "AnswerStreamer") -> float:
        """Emit the answer while another thread generates it; gives the seconds of the vision encoder."""
        clock = self.model.vision_clock

        def is_over() -> bool:
            return bool(streamer.output.reason) or self.cancelled.is_set()

        def should_stop() -> bool:
            self.pace.next(is_over)
            return is_over()

        def work() -> float:
            clock.reset()
            self.pace.next(is_over)
            try:
                self.model.run(
                    prompt,
                    sampling,
                    self.model.held(self.request),
                    streamer=streamer,
                    should_stop=should_stop,
                )
            finally:
                streamer.end()
            return clock.seconds

        # A copied context carries the caller's identity to where ZeroGPU looks for it.
        context = contextvars.copy_context()
        with ThreadPoolExecutor(1, thread_name_prefix="generating") as thread:
            generating = thread.submit(context.run, work)
            for text in streamer:
                if text:
                    self._emit(TextDelta(text))
            return generating.result()
