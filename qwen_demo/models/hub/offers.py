"""Which models the page offers, what each would cost here, and fetching one that is not here.

No PyTorch: what it takes to know a machine, a `Survey` tells.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.choose import named_folder
from qwen_demo.models.hub import survey
from qwen_demo.models.hub.catalog import GIB, KNOWN
from qwen_demo.models.hub.download import Download, DownloadProgress
from qwen_demo.models.hub.listing import Listing, list_files
from qwen_demo.models.hub.sizes import folder_here
from qwen_demo.models.hub.survey import Survey
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings

log = logging.getLogger(__name__)

# Of a model that is not among the known: four-bit layers, whole vision encoder and table of words.
SHARE_IN_MEMORY = 0.5
# Where a model that answers leaves: what it held comes back but for a part.
COMES_BACK = 0.9

Room = Literal["beside", "instead"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that could answer.

    Attributes:
        model: as `--model` takes it.
        here: its files are on this machine.
        download_bytes: of its files; None where only the hub knows and was not asked.
        needed_bytes: memory; None where nobody knows.
        first_token_s, tokens_per_s: expected here; None where they were not measured.
    """

    model: str
    here: bool
    download_bytes: int | None = None
    needed_bytes: int | None = None
    first_token_s: float | None = None
    tokens_per_s: float | None = None


def offered_models(settings: Settings) -> tuple[str, ...]:
    """The embedded one, the published ones from small to large, and what the operator lists."""
    usual = ("embedded", *reversed(tuple(KNOWN)))
    return (*usual, *(name for name in settings.offer_models if name not in usual))


class Offers:
    """Methods without `async` may take as long as a disk takes, and `download` as long as the hub.

    Attributes:
        models: all of them; `listed` are those that the operator added.
    """

    def __init__(self, settings: Settings):
        self.models: Sequence[str] = offered_models(settings)
        self.listed: Sequence[str] = settings.offer_models
        self._settings = settings
        self._survey: Survey | None = None
        self._asking: asyncio.Task[Survey] | None = None

    @property
    def surveyed(self) -> Survey | None:
        """What is known of this machine by now."""
        return self._survey

    async def survey(self, *, anew: bool = False) -> Survey:
        """What this machine can do; all who ask at once wait for one answer. `anew` after a model came.

        Raises:
            ModelLoadError: it could not be found out.
        """
        if self._survey is not None and not anew:
            return self._survey
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(survey.ask(self.models))
        self._survey = await asyncio.shield(self._asking)
        return self._survey

    def look(self) -> list[Offer]:
        """All of them, with what is known by now."""
        return [self._offer(model) for model in self.models]

    def _offer(self, model: str) -> Offer:
        here = folder_here(model) is not None
        estimate = self._survey.models.get(model) if self._survey else None
        size = KNOWN[model].download_bytes if model in KNOWN else None
        if estimate is None:
            return Offer(model, here, size)
        return Offer(model, here, size, estimate.needed_bytes, estimate.first_token_s, estimate.tokens_per_s)

    async def room(self, model: str, held_bytes: int) -> Room:
        """Whether it fits beside the present model, which holds so much, or only in its place.

        Raises:
            ModelLoadError: neither.
        """
        try:
            found = await self.survey()
        except (ModelLoadError, OSError, TimeoutError) as error:
            # As on a small GPU whose memory the present model has taken: in its place there is room if anywhere.
            log.warning("%s takes the place of the present model: %s", model, error)
            return "instead"
        estimate = found.models.get(model)
        return "beside" if estimate is None else self._judge(model, estimate.needed_bytes, found, held_bytes)

    def _judge(self, model: str, needed: int, found: Survey, held_bytes: int) -> Room:
        free = found.free_now()
        if needed <= free:
            return "beside"
        # A GPU's memory is taken by the present model to nine tenths, whatever it needs.
        instead = free + COMES_BACK * held_bytes if found.device == "cpu" else COMES_BACK * found.total_bytes
        if needed <= instead:
            return "instead"
        raise ModelLoadError(
            Sentence(
                "{model} needs about {needed:.1f} GiB of memory, and there are {free:.1f} GiB, even without the present "
                "model. Choose a smaller one, or end other programs.",
                model=model,
                needed=needed / GIB,
                free=instead / GIB,
            )
        )

    def download(
        self, model: str, on_progress: Callable[[DownloadProgress], None], held_bytes: int = 0
    ) -> Download | None:
        """What fetches a model; None where its files are here.

        Raises:
            ModelLoadError: the hub does not have it, or not for us, or memory does not hold it.
        """
        if named_folder(model) or folder_here(model):
            return None
        token = self._settings.hf_token.get_secret_value() if self._settings.hf_token else None
        listing = list_files(model, None, token, timeout_s=self._settings.hub_timeout_s)
        self._refuse_what_memory_does_not_hold(listing, held_bytes)
        return Download(listing, token, on_progress)

    def _refuse_what_memory_does_not_hold(self, listing: Listing, held_bytes: int) -> None:
        """Of known ones `room` has said it already."""
        if self._survey is not None and listing.model_id not in self._survey.models:
            self._judge(listing.model_id, int(listing.bytes * SHARE_IN_MEMORY), self._survey, held_bytes)
