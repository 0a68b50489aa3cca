"""`/v1/load_lora_adapter` and its opposite, as vLLM has them: for operators, with keys of their own alone."""

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from qwen_demo.api import openapi
from qwen_demo.api.idle_fields import Strict
from qwen_demo.http.access import ApiAccess
from qwen_demo.service.service import Service


class LoadAdapter(Strict):
    """`lora_path` is a folder in `--adapters-dir`."""

    lora_name: str
    lora_path: str


class UnloadAdapter(Strict):
    lora_name: str


def add_adapters(router: APIRouter, service: Service, access: ApiAccess) -> None:
    """`access` lets operators in."""
    own = APIRouter(responses=openapi.ASKING, tags=["operations"], dependencies=[Depends(access)])

    @own.post("/v1/load_lora_adapter", response_class=PlainTextResponse)
    async def load(asked: LoadAdapter) -> PlainTextResponse:
        """Once it has answered something, requests may name it as their model."""
        await service.load_adapter(asked.lora_name, asked.lora_path)
        return PlainTextResponse(f"Success: LoRA adapter '{asked.lora_name}' added successfully.")

    @own.post("/v1/unload_lora_adapter", response_class=PlainTextResponse)
    async def unload(asked: UnloadAdapter) -> PlainTextResponse:
        """Answers that are being written with it go on to their end."""
        service.adapters.unload(asked.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{asked.lora_name}' removed successfully.")

    router.include_router(own)
