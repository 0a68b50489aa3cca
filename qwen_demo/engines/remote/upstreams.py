"""The servers behind the remote engine: what is known of each, and which one gets the next request.

That is the well one with the fewest requests that this process has open there. They are asked for
their models every few seconds; one that does not answer, or serves another model, is left out.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai
from openai.types import Model

from qwen_demo.errors import ModelLoadError

CHECK_EVERY_S = 2.0
CHECK_TIMEOUT_S = 5.0


# By what they call themselves in their list of models: those that take bounds of an image's area with a request.
TAKE_BOUNDS = ("vllm", "qwen-demo")


@dataclass(eq=False)
class Upstream:
    """One server.

    Attributes:
        open: requests that this process has there.
        trouble: empty while it is well, else says what is wrong, for people.
        takes_bounds: it knows `mm_processor_kwargs`.
        unknown: fields that it has refused by name.
    """

    client: openai.AsyncOpenAI
    name: str
    open: int = 0
    trouble: str = "not checked yet"
    takes_bounds: bool = False
    unknown: frozenset[str] = frozenset()


class Upstreams:
    """All servers of `--base-url`.

    Args:
        urls: their addresses, ending in /v1.
        key: sent to each.
        timeout_s: longest silence of a server within one answer.
    """

    def __init__(self, urls: Sequence[str], key: str, timeout_s: float):
        self._all = [
            Upstream(
                # Over aiohttp: to read a token over the client's own transport takes twice the processor's time.
                openai.AsyncOpenAI(
                    base_url=url,
                    api_key=key,
                    max_retries=0,
                    timeout=timeout_s,
                    http_client=openai.DefaultAioHttpClient(),
                ),
                urlsplit(url).netloc.rpartition("@")[2],  # without a password before it: all are told this name
            )
            for url in urls
        ]
        self._model_id = ""
        self._watching: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._all)

    @property
    def names(self) -> str:
        return ", ".join(upstream.name for upstream in self._all)

    @property
    def troubles(self) -> str:
        return "; ".join(f"{upstream.name}: {upstream.trouble}" for upstream in self._all if upstream.trouble)

    @property
    def running(self) -> int:
        return sum(upstream.open for upstream in self._all)

    @property
    def healthy(self) -> int:
        return sum(not upstream.trouble for upstream in self._all)

    async def find_model(self, wanted: str) -> Model:
        """The model that all requests will name; `auto` is the first that any server offers.

        Raises:
            ModelLoadError: no server answers, or none has it.
        """
        found = await asyncio.gather(*[self._check(upstream) for upstream in self._all])
        offered = [model for models in found for model in models]
        if not offered:
            raise ModelLoadError(
                f"No server of --base-url answers ({self.troubles}). Start one, or correct the address."
            )
        chosen = next((model for model in offered if wanted in ("auto", model.id)), None)
        if chosen is None:
            names = ", ".join(sorted({model.id for model in offered}))
            raise ModelLoadError(f"--model {wanted} is not served by --base-url; there is: {names}.")
        self._model_id = chosen.id
        await asyncio.gather(*[self._check(upstream) for upstream in self._all])
        return chosen

    async def _check(self, upstream: Upstream) -> list[Model]:
        try:
            models = (await upstream.client.models.list(timeout=CHECK_TIMEOUT_S)).data
            served = not self._model_id or any(model.id == self._model_id for model in models)
            owners = {getattr(model, "owned_by", None) for model in models if model.id == (self._model_id or model.id)}
        except openai.OpenAIError as error:
            upstream.trouble = cause(error)
            return []
        except (AttributeError, TypeError, ValueError) as error:  # a proxy's page: the watch outlasts it
            upstream.trouble = f"its list of models cannot be read ({type(error).__name__})"
            return []
        upstream.trouble = "" if served else f"does not serve {self._model_id}"
        upstream.takes_bounds = bool(owners) and owners <= set(TAKE_BOUNDS)
        return models

    def watch(self) -> None:
        """Keep on checking until `close`."""
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            await asyncio.gather(*[self._check(upstream) for upstream in self._all])

    @contextmanager
    def borrowed(self, tried: set[Upstream]) -> Iterator[Upstream]:
        """The best server that is not in `tried`, which it joins. It counts as busier meanwhile.

        An unwell one is taken only where no other is left: it may be back before the next check says so.
        """
        left = [upstream for upstream in self._all if upstream not in tried]
        healthy = [upstream for upstream in left if not upstream.trouble]
        chosen = min(healthy or left, key=lambda upstream: upstream.open)
        tried.add(chosen)
        chosen.open += 1
        try:
            yield chosen
        finally:
            chosen.open -= 1

    async def close(self) -> None:
        if self._watching:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        for upstream in self._all:
            await upstream.client.close()


def cause(error: BaseException) -> str:
    """The innermost cause, which names what went wrong with the connection."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
