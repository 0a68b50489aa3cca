"""The replicas behind a service, for an operator who takes one out and back."""

from qwen_demo.engines.replicas.engine import ReplicatedEngine
from qwen_demo.engines.replicas.roster import Roster, Seat
from qwen_demo.errors import NotFound
from qwen_demo.service.model_switch import ModelSwitch
from qwen_demo.service.service import Service

__all__ = ["Seat", "roster_of"]


def roster_of(service: Service) -> Roster:
    """Of the model that answers now. Raises `NotFound` where one engine answers alone."""
    engine = service.engine.present if isinstance(service.engine, ModelSwitch) else service.engine
    if not isinstance(engine, ReplicatedEngine):
        raise NotFound("There are no replicas here.")
    return engine.roster
