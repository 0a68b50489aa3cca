"""What the page's model menu shows and does: which models could answer here, how far a change is, and beginning one."""

import asyncio
import logging
from dataclasses import dataclass

from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.models.hub.offers import Offer, Offers
from qwen_demo.models.hub.survey import Survey
from qwen_demo.sentences import Sentence
from qwen_demo.service.model_switch import ModelSwitch
from qwen_demo.service.service import Service
from qwen_demo.service.switch_status import SwitchStatus

log = logging.getLogger(__name__)

# What a proxy adds, so that who comes through one is somewhere else.
PROXY_HEADERS = frozenset(("x-forwarded-for", "x-real-ip", "forwarded"))


@dataclass(frozen=True, slots=True)
class MenuState:
    """What there is to show.

    Attributes:
        present: the model that answers, as `Offer.model` has it.
        survey: what this machine is like; None before it is known.
        measuring: it is being found out.
        trouble: why it could not be.
    """

    present: str
    offers: list[Offer]
    status: SwitchStatus
    survey: Survey | None
    measuring: bool = False
    trouble: str = ""


class ModelMenu:
    """One for all visitors: the change is everybody's.

    Args:
        switch: whose source are `Offers`.
        for_all: whether others than those at this machine may use it.
    """

    def __init__(self, switch: ModelSwitch, offers: Offers, *, for_all: bool = False):
        self._switch, self._offers, self._for_all = switch, offers, for_all
        self._measuring: asyncio.Task[None] | None = None
        self._trouble = ""

    @classmethod
    def of(cls, service: Service) -> "ModelMenu | None":
        """None where the service's model cannot be changed."""
        switch = service.engine
        if not isinstance(switch, ModelSwitch) or not isinstance(switch.source, Offers):
            return None
        switch.on_change = service.model_changed
        return cls(switch, switch.source, for_all=service.settings.model_menu == "on")

    def is_for(self, header_names: frozenset[str]) -> bool:
        """Whether a request with these headers, in lower case, may use it."""
        return self._for_all or not header_names & PROXY_HEADERS

    @property
    def status(self) -> SwitchStatus:
        return self._switch.status

    @property
    def present(self) -> str:
        return self._switch.info.model_id

    @property
    def larger(self) -> str | None:
        """What the embedded model's answers lead to: the operator's first model, else the smallest published one."""
        usual = [model for model in self._offers.models if model != "embedded"]
        return next((model for model in self._offers.listed), usual[0] if usual else None)

    async def look(self, *, measures: bool = False) -> MenuState:
        """What there is to show now. `measures`: find out what is not known of this machine, meanwhile."""
        if measures and self._offers.surveyed is None and (self._measuring is None or self._measuring.done()):
            self._measuring = asyncio.create_task(self._measure())
        offers = await asyncio.to_thread(self._offers.look)
        measuring = self._measuring is not None and not self._measuring.done()
        return MenuState(self.present, offers, self.status, self._offers.surveyed, measuring, self._trouble)

    async def _measure(self) -> None:
        try:
            await self._offers.survey()
            self._trouble = ""
        except (QwenDemoError, OSError, TimeoutError) as error:
            log.warning("this machine could not be measured: %s", error)
            self._trouble = str(error.args[0]) if isinstance(error, QwenDemoError) else type(error).__name__

    def choose(self, model: str) -> None:
        """Begin to change to a model of the menu, or go on with its download.

        Raises:
            InvalidRequest: it is none of them, or another change is under way.
        """
        if model not in self._offers.models:
            raise InvalidRequest(Sentence("{model} is not offered here.", model=model[:100]), field="model")
        self._switch.choose(model)

    def pause(self) -> None:
        self._switch.pause()

    def cancel(self) -> None:
        self._switch.cancel()
