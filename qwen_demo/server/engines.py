"""The only module that builds engines: here for the terminal, tests and ZeroGPU, else in processes of their own."""

import logging
from collections.abc import Callable, Mapping

from qwen_demo.engines import zerogpu
from qwen_demo.engines.process.engine import ProcessEngine
from qwen_demo.engines.process.supervisor import Bounds
from qwen_demo.engines.replicas.engine import ReplicatedEngine
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.models.choose import named_folder
from qwen_demo.models.hub.offers import Offers
from qwen_demo.models.hub.sizes import folder_here
from qwen_demo.service.logs import set_up_logging
from qwen_demo.service.model_switch import ModelSwitch
from qwen_demo.service.remembered import RememberedModel
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings, replica_environments
from qwen_demo.settings.choosing import offers_models
from qwen_demo.types import Engine, ModelInfo

log = logging.getLogger(__name__)


def build_engine(settings: Settings) -> Engine:
    """The engine that `--engine` names, in this process."""
    if settings.engine == "scripted":
        return ScriptedEngine(Script(first_s=0.2, gap_s=0.02), settings.max_running)
    if settings.engine == "remote":
        from qwen_demo.engines.remote.engine import RemoteEngine

        return RemoteEngine(settings)
    if settings.engine == "triton":
        from qwen_demo.engines.triton.engine import TritonEngine

        return TritonEngine(settings)
    # ZeroGPU lends its GPU to one call at a time; there is nothing to batch.
    if settings.engine == "generate" or zerogpu.is_active():
        from qwen_demo.engines.generate import GenerateEngine

        return GenerateEngine(settings)
    from qwen_demo.engines.batching.engine import BatchingEngine

    return BatchingEngine(settings)


def build_hosted(settings: Settings) -> Engine:
    """`build_engine` for a process that is there for it alone."""
    set_up_logging(as_json=settings.log_json)
    return build_engine(settings)


def build_beside(settings: Settings, first: ModelInfo) -> Engine:
    """For such a process too: an engine of the model that another engine has loaded, in another way than it."""
    set_up_logging(as_json=settings.log_json)
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.engines.generate import GenerateEngine
    from qwen_demo.models.load import load_beside

    kind = GenerateEngine if settings.engine == "generate" else BatchingEngine
    return kind(settings, loader=load_beside(lambda: first))


def build_server_engine(settings: Settings) -> Engine:
    """The server's: one that holds a model has a process of its own, and so has each of several replicas.

    Raises:
        SettingsError: more replicas than GPUs.
    """
    if not settings.holds_model:
        return build_engine(settings)
    if settings.replicas == 1:
        return _in_own_process(settings, build_hosted)
    environments = replica_environments(settings.replicas)

    def anew(number: int) -> Engine:
        return _in_own_process(settings, build_hosted, environment=environments[number])

    remembered_s = settings.cache_seconds if settings.reuse else 0.0
    return ReplicatedEngine([anew(number) for number in range(settings.replicas)], remembered_s=remembered_s, anew=anew)


def build_changeable(settings: Settings) -> Engine:
    """The server's engine; where the page offers other models, around it what changes them.

    Raises:
        ModelLoadError: `--offer-models` names what can be none.
    """
    if not offers_models(settings):
        return build_server_engine(settings)
    for name in settings.offer_models:
        named_folder(name, "--offer-models")  # what can be no model is refused at start
    remembered = RememberedModel(settings.state_dir)
    model = remembered.read() if settings.model == "auto" else None
    if model and folder_here(model) is None:
        log.warning("%s was chosen on the page, and its files are gone: --model auto is followed", model)
        remembered.forget()
    return ModelSwitch(settings, build_server_engine, Offers(settings), remembered)


def build_compared(settings: Settings, first: Engine) -> Service | None:
    """What the page can compare `first` with, see `--compare-engine`; a process more."""
    if not settings.compares:
        return None
    first_kind = "batching" if settings.engine == "auto" else settings.engine
    changed = settings.model_copy(
        update={
            "engine": settings.compare_engine or first_kind,
            "quantization": settings.compare_quantization or settings.quantization,
            "compare_engine": None,
            "compare_quantization": None,
            "go_first_file": None,
            "give_way_file": settings.go_first_file or settings.give_way_file,
            "adapters": settings.adapters if settings.merge_adapter else (),
            "adapters_dir": None,
        }
    )

    def known() -> tuple[ModelInfo]:
        return (first.info,)

    return Service(changed, _in_own_process(changed, build_beside, known))


def _in_own_process(
    settings: Settings,
    build: Callable[..., Engine],
    arguments: Callable[[], tuple[ModelInfo, ...]] = tuple,
    environment: Mapping[str, str] | None = None,
) -> Engine:
    bounds = Bounds(silence_s=settings.engine_silence_s, tries=settings.engine_tries)
    name = f"{__name__}:{build.__name__}"
    return ProcessEngine(settings, name, arguments=arguments, bounds=bounds, environment=environment)
