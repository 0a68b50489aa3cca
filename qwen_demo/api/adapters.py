"""`/v1/load_lora_adapter` and its opposite, as vLLM has them: for operators, with keys of their own alone."""

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import Field

from qwen_demo.api import openapi
from qwen_demo.api.idle_fields import Dropped, Flag, No, Strict, Whole
from qwen_demo.http.access import ApiAccess
from qwen_demo.service.service import Service


class LoadAdapter(Strict):
    """`lora_path` is a folder in `--adapters-dir`."""

    lora_name: str
    lora_path: str
    load_inplace: Flag = Field(False, description="take the place of an adapter that has this name already")
    is_3d_lora_weight: Dropped[No] = None  # of models of experts


class UnloadAdapter(Strict):
    lora_name: str
    lora_int_id: Dropped[Whole] = None  # vLLM goes by the name alone, too


def add_adapters(router: APIRouter, service: Service, access: ApiAccess, reading: type[APIRoute]) -> None:
    """`access` lets operators in; `reading` is `route_class` of it, which reads no body before."""
    own = APIRouter(route_class=reading, responses=openapi.ASKING, tags=["operations"], dependencies=[Depends(access)])

    @own.post("/v1/load_lora_adapter", response_class=PlainTextResponse)
    async def load(asked: LoadAdapter) -> PlainTextResponse:
        """Once it has answered something, requests may name it as their model.

        Where it takes another one's place, answers that are being written go on with that one.
        """
        await service.load_adapter(asked.lora_name, asked.lora_path, in_place=asked.load_inplace)
        return PlainTextResponse(f"Success: LoRA adapter '{asked.lora_name}' added successfully.")

    @own.post("/v1/unload_lora_adapter", response_class=PlainTextResponse)
    async def unload(asked: UnloadAdapter) -> PlainTextResponse:
        """Answers that are being written with it go on to their end."""
        service.adapters.unload(asked.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{asked.lora_name}' removed successfully.")

    router.include_router(own)
