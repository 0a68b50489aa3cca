"""`/v1/replicas`: an operator looks at the replicas, takes one out and brings it back. With keys of its own alone."""

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from qwen_demo.api import openapi
from qwen_demo.http.access import ApiAccess
from qwen_demo.service.replicas import Seat, roster_of
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings


class Replica(BaseModel):
    """One of them: `draining` answers what it was given, `ending` gives its GPU free."""

    number: int
    state: Literal["serving", "draining", "ending", "out", "loading"]
    ready: bool
    requests: int
    outstanding_tokens: int
    detail: str


class Replicas(BaseModel):
    object: Literal["list"] = "list"
    data: list[Replica]


def operators(settings: Settings) -> ApiAccess:
    """Lets in whose keys are in `--operator-keys-file`."""
    return ApiAccess(settings.model_copy(update={"api_keys_file": settings.operator_keys_file, "rate_limit": ""}))


def add_replicas(router: APIRouter, service: Service, access: ApiAccess) -> None:
    """`access` lets operators in. No route of these reads a body."""
    own = APIRouter(responses=openapi.LOOKING, tags=["operations"], dependencies=[Depends(access)])

    @own.get("/v1/replicas")
    async def replicas() -> Replicas:
        return Replicas(data=[_shown(seat) for seat in roster_of(service).seats])

    @own.post("/v1/replicas/{number}/out")
    async def take_out(number: int) -> Replica:
        """It gets nothing more; once it has answered what it has, its process ends and its GPU is free."""
        return _shown(roster_of(service).take_out(number))

    @own.post("/v1/replicas/{number}/in")
    async def bring_back(number: int) -> Replica:
        """It is loaded anew; or goes on, where it had not ended."""
        return _shown(roster_of(service).bring_back(number))

    router.include_router(own)


def _shown(seat: Seat) -> Replica:
    health = seat.look()
    return Replica(
        number=seat.number,
        state=seat.stage,
        ready=seat.takes_requests,
        requests=seat.ledger.requests,
        outstanding_tokens=seat.ledger.tokens,
        detail=seat.detail if seat.stage == "out" else str(health.detail),
    )
