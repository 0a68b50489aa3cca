"""What operators see: Prometheus metrics and request ids. Every label has a small, fixed set of values."""

import contextvars
import functools
import re
import secrets
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest

from qwen_demo.media import DecoderPool
from qwen_demo.types import Finished, Health

SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25, 50, 100, 200)
GAPS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5, 1)
FRONTS = ("page", "gradio", "chat_completions", "responses", "inference", "knowledge", "cli")

_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def begin_request(given: str | None = None) -> str:
    """The id of the request that this task works on: the caller's own if it is harmless, else a new one."""
    request_id = given if given and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else secrets.token_hex(8)
    _request_id.set(request_id)
    return request_id


def request_id() -> str:
    return _request_id.get()


class Metrics:
    """One registry per application, so that several can live in one process.

    Args:
        health: asked at each scrape for the gauges.
    """

    def __init__(self, health: Callable[[], Health]):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = Counter(
            "qwen_requests", "Requests that ended, by front and outcome.", ["front", "outcome"], registry=self.registry
        )
        self._rejected = Counter(
            "qwen_rejected", "Requests that were not admitted, by reason.", ["reason"], registry=self.registry
        )
        self._tokens = Counter("qwen_tokens", "Tokens, by kind.", ["kind"], registry=self.registry)
        self._encoder_hits = Counter(
            "qwen_encoder_hits", "Images whose encoding came from the cache.", registry=self.registry
        )
        self._latency = self._seconds("inference_latency_seconds", "Arrival to the end of the answer.")
        self._first = self._seconds("qwen_time_to_first_token_seconds", "Arrival to the first token.")
        self._opened = self._seconds("qwen_media_seconds", "Opening a request's files, waiting for a decoder included.")
        self._queued = self._seconds("qwen_queue_seconds", "Waiting for a place in the engine.")
        self._gap = self._seconds("qwen_inter_token_seconds", "Mean time between tokens of an answer.", GAPS)
        for name, text, value in (
            ("queue_length", "Requests that wait.", lambda: health().waiting),
            ("qwen_running", "Requests that are worked on.", lambda: health().running),
            ("qwen_ready", "1 when requests are answered.", lambda: health().ready),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)
        self._eta = Gauge("qwen_eta_seconds", "Expected wait of a request that comes now.", registry=self.registry)
        self._loop_stop = Gauge(
            "qwen_event_loop_longest_stop_seconds",
            "Longest time in the last minute in which nobody was answered.",
            registry=self.registry,
        )
        self._held = Gauge("qwen_memory_held_bytes", "Of the memory budget, taken by callers.", registry=self.registry)
        self._stats = _Stats(health)
        self.registry.register(self._stats)

    def _seconds(self, name: str, text: str, buckets: Sequence[float] = SECONDS) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)

    def watch_decoders(self, decoders: DecoderPool) -> None:
        """Tell how long requests wait for a decoder, and how many wait and work now, for each kind of file."""
        waited = Histogram(
            "qwen_decoder_wait_seconds",
            "Waiting for a free decoder, by kind of file.",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )
        waiting = Gauge("qwen_decoders_waiting", "Files that wait for a decoder.", ["kind"], registry=self.registry)
        running = Gauge("qwen_decoders_running", "Decoders at work.", ["kind"], registry=self.registry)
        for kind in decoders.at_once:
            waited.labels(kind)
            waiting.labels(kind).set_function(functools.partial(decoders.waiting, kind))
            running.labels(kind).set_function(functools.partial(decoders.working, kind))
        decoders.waited = lambda kind, seconds: waited.labels(kind).observe(seconds)

    def eta_from(self, value: Callable[[], float]) -> None:
        self._eta.set_function(value)

    def loop_stop_from(self, value: Callable[[], float]) -> None:
        """`value` is asked at each scrape, on the event loop."""
        self._loop_stop.set_function(value)

    def held_from(self, value: Callable[[], float]) -> None:
        """`value` gives bytes."""
        self._held.set_function(value)

    def rejected(self, reason: str) -> None:
        self._rejected.labels(reason).inc()

    def opened(self, seconds: float) -> None:
        """Count one request that was admitted and whose files, if any, are open."""
        self._opened.observe(seconds)

    def ended(self, front: str, outcome: str, finished: Finished | None, first_s: float, total_s: float) -> None:
        """Count one request that was admitted; seconds since its arrival to the first token and to the end."""
        self._requests.labels(front if front in FRONTS else "other", outcome).inc()
        if finished is None:
            return
        usage, timing = finished.usage, finished.timing
        for kind, count in (
            ("prompt", usage.prompt_tokens),
            ("image", usage.image_tokens),
            ("cached", usage.cached_tokens),
            ("completion", usage.completion_tokens),
        ):
            self._tokens.labels(kind).inc(count)
        self._encoder_hits.inc(timing.encoder_hits)
        self._latency.observe(total_s)
        self._first.observe(first_s)
        self._queued.observe(timing.queue_s)
        if usage.completion_tokens > 1:
            self._gap.observe(timing.decode_s / (usage.completion_tokens - 1))

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


class _Stats:
    """What only the engine knows, as gauges of the names that it gives."""

    def __init__(self, health: Callable[[], Health]):
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, value in sorted(self._health().stats.items()):
            yield GaugeMetricFamily(f"qwen_engine_{name}", f"The engine's {name.replace('_', ' ')}.", value=value)
