"""The page on scripted engines that say their names, one for each model, with a menu, and a hub of our own."""

import dataclasses

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import ModelLoadError
from qwen_demo.models.hub import survey
from qwen_demo.models.hub.catalog import GIB
from qwen_demo.models.hub.offers import Offers
from qwen_demo.models.hub.survey import Estimate, Survey
from qwen_demo.sentences import Sentence
from qwen_demo.service.model_switch import ModelSwitch
from qwen_demo.service.remembered import RememberedModel
from qwen_demo.settings import Settings

OTHER = "somebody/Other-VL-Instruct"
BEYOND = "This looks like a photo. I am only a small demo model and cannot tell what it shows."
MACHINE = Survey("cpu", "nf4", 12 * GIB, 16 * GIB, {OTHER: Estimate(5 * GIB, 4.2, 9.5)})


class NamedEngine(ScriptedEngine):
    """Of the embedded model, which says that all is beyond it, or another one, which says its name."""

    def __init__(self, settings: Settings, broken: set[str]):
        self.is_broken = settings.model in broken
        embedded = settings.model in ("embedded", "auto")
        model = "embedded" if embedded else settings.model
        super().__init__(Script([BEYOND] if embedded else [f"{model} sees ", "a cat."]), settings.max_running)
        self.info = dataclasses.replace(self.info, model_id=model, embedded=embedded)

    async def start(self) -> None:
        if self.is_broken:
            raise ModelLoadError(Sentence("The engine's process could not be started: {error}.", error="out of luck"))
        await super().start()


class Models:
    """Attributes:
    switch: the engine of an application.
    broken: models that do not load.
    """

    def __init__(self, tmp_path, monkeypatch, **settings):
        async def ask(models):
            return MACHINE

        monkeypatch.setattr(survey, "ask", ask)
        self.broken: set[str] = set()
        self.settings = Settings(
            **{"warmup": False, "canary_s": 0, "grace_s": 1, "offer_models": OTHER, "state_dir": tmp_path / "state"},
            **settings,
        )
        self.remembered = RememberedModel(self.settings.state_dir)
        self.offers = Offers(self.settings)
        self.switch = ModelSwitch(
            self.settings, lambda settings: NamedEngine(settings, self.broken), self.offers, self.remembered
        )
