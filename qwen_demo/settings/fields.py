"""The settings themselves, in the groups that `--help` shows: types, bounds, defaults and what each is for."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from qwen_demo.settings.adapters import Adapters
from qwen_demo.settings.choosing import Choosing
from qwen_demo.settings.knowledge import Documents
from qwen_demo.settings.sharing import Sharing
from qwen_demo.settings.uploads import Uploads
from qwen_demo.settings.usual import on_spaces, usual_host, usual_port, usual_proxies, usual_weights_cache
from qwen_demo.settings.values import MIB, Bytes, Commas, Hosts, Origins, RootPath, Usually


class Listening(BaseModel):
    """Where it listens."""

    host: Annotated[str, Usually("127.0.0.1, on Spaces 0.0.0.0")] = Field(
        default_factory=usual_host, description="address to listen on"
    )
    port: int = Field(default_factory=usual_port, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    root_path: Annotated[RootPath, Usually("none")] = Field("", description="path prefix behind a reverse proxy")
    allowed_hosts: Annotated[Hosts, Usually("on loopback its own names, else all")] = Field(
        (), description="names that it may be asked by, such as demo.example.org or *.example.org (comma-separated)"
    )
    keep_alive_s: int = Field(75, ge=1, description="how long a connection without a request waits for the next one")
    workers: int = Field(1, description="always 1: for more GPUs there is --replicas (docs/deploy-nginx.md)")


class Model(BaseModel):
    """Which model answers."""

    model: str = Field(
        "auto", description="auto, embedded, a local folder, or a hub id such as Qwen/Qwen2.5-VL-7B-Instruct"
    )
    revision: Annotated[str | None, Usually("the newest")] = Field(
        None, description="branch, tag or commit of the hub model"
    )
    quantization: Literal["auto", "nf4", "nf4-vision", "int4", "int8", "fp8", "none"] = Field(
        "auto",
        description="how weights are kept; auto is nf4 for a full-size model on CUDA, nf4 or int4 on a CPU, else none; "
        "nf4-vision quantises the vision encoder too, for cards of 8 GiB; int4 is for CPUs, fp8 for cards from Ada on",
    )
    attention: Literal["auto", "flash_attention_2", "sdpa", "eager"] = Field(
        "auto", description="attention implementation of transformers"
    )
    device_map: Annotated[str | None, Usually("one device")] = Field(
        None, description="transformers' device_map, such as auto, to spread a model over several GPUs"
    )
    min_pixels: Annotated[int | None, Usually("the model's own")] = Field(
        None, ge=28 * 28, description="smallest area of an image as the model sees it"
    )
    max_pixels: Annotated[int | None, Usually("the model's own")] = Field(
        None, ge=28 * 28, description="largest area of an image as the model sees it"
    )
    weights_cache_dir: Annotated[Path, Usually("~/.cache/qwen-demo/weights")] = Field(
        default_factory=usual_weights_cache, description="weights that were quantised for this CPU, for the next start"
    )
    weights_cache_gib: float = Field(20.0, ge=0, description="most that is kept there; 0 keeps nothing")
    weights_cache_days: float = Field(30.0, gt=0, description="what nobody used for so long goes")
    hub_timeout_s: float = Field(5.0, gt=0, description="how long auto waits for the model hub")
    warmup: bool = Field(True, description="answer one small image before the first visitor")


class Serving(BaseModel):
    """How it is served."""

    engine: Literal["auto", "batching", "generate", "remote", "scripted", "triton"] = Field(
        "auto", description="how requests are run; auto is batching, and generate on ZeroGPU"
    )
    base_url: Annotated[Commas, Usually("none")] = Field(
        (),
        description="OpenAI-compatible servers of the remote engine, ending in /v1 (comma-separated); host:port of Triton",
    )
    remote_key: Annotated[SecretStr | None, Usually("none")] = Field(
        None, description="key that the remote engine sends"
    )
    compare_engine: Annotated[Literal["batching", "generate"] | None, Usually("no second engine")] = Field(
        None, description="load the model a second time, with this engine, to compare both on the page"
    )
    compare_quantization: Annotated[
        Literal["nf4", "nf4-vision", "int4", "int8", "none"] | None, Usually("no second engine")
    ] = Field(
        None,
        description="the same with these weights; the two can go together. It needs memory for both: on a GPU the "
        "first engine takes half of its usual share for keys and values, or what --kv-cache-mib says for each. "
        "The API stays with the first",
    )
    replicas: int = Field(1, ge=1, description="whole engines behind this front, each on GPUs of its own")
    threads: Annotated[int, Usually("as many as suit the model")] = Field(
        0,
        ge=0,
        description="CPU threads; 0 takes the idle processors, for the embedded model two to read images and one to write",
    )
    max_running: int = Field(4, ge=1, description="requests that the generate engine works on at once")
    max_waiting: int = Field(64, ge=0, description="requests that may wait; more are turned away")
    request_timeout_s: float = Field(300.0, gt=0, description="longest time one request may take")
    max_waiting_tokens: int = Field(
        200_000, ge=1, description="prompt tokens that may be in work or wait; an image counts what it costs"
    )
    max_new_tokens: int = Field(2048, ge=1, description="upper bound of the length of one answer")
    grace_s: float = Field(30.0, ge=0, description="after SIGTERM, how long running answers may go on")
    canary_s: float = Field(60.0, ge=0, description="ask the model a one-token question when idle this long; 0 never")
    engine_silence_s: float = Field(
        10.0, gt=0, description="start the engine's process again when it gives no sign of life for this long"
    )
    engine_tries: int = Field(
        3, ge=1, description="failures in a row after which that process is left alone and /health fails"
    )
    log_json: bool = Field(False, description="log in JSON, one object a line")


class Access(BaseModel):
    """Who may use it."""

    open: Annotated[bool, Usually("off, on Spaces on")] = Field(
        default_factory=on_spaces,
        description="let anybody use it, although it listens on other addresses than loopback; true on Spaces",
    )
    api_keys_file: Annotated[Path | None, Usually("none")] = Field(
        None, description="keys of the REST API, made by qwen-demo key NAME"
    )
    page_users_file: Annotated[Path | None, Usually("none")] = Field(
        None, description="users of the page, made by qwen-demo user NAME"
    )
    operator_keys_file: Annotated[Path | None, Usually("none")] = Field(
        None,
        description="keys that may take one of several replicas out and back and load adapters, made by qwen-demo key NAME",
    )
    rate_limit: Annotated[str, Usually("no limit")] = Field(
        "", description="REST requests per key or address, such as 60/minute; empty is no limit"
    )
    cors_origins: Annotated[Origins, Usually("none")] = Field(
        (),
        description="web origins that may call the REST API, such as https://example.org; * is all of them "
        "(comma-separated)",
    )
    trusted_proxies: Annotated[str, Usually("none, on Spaces its own")] = Field(
        default_factory=usual_proxies,
        description="addresses or networks of reverse proxies whose X-Forwarded-For is believed (comma-separated); "
        "127.0.0.1 is one only if it is named",
    )
    max_request_bytes: Bytes = Field(64 * MIB, ge=1024, description="largest body of a REST request")
    body_timeout_s: float = Field(60.0, gt=0, description="longest time the body of a REST request may take")
    memory_budget_mib: int = Field(2048, ge=1, description="memory for bodies and images of all callers together")
    caller_share: float = Field(0.75, gt=0, le=1, description="part of memory, room and slots for one key or address")
    caller_connections: int = Field(512, ge=8, description="connections and requests of one address at a time")


class Batching(BaseModel):
    """The batching engine."""

    slots: Annotated[int, Usually("as many as memory holds")] = Field(
        0, ge=0, description="requests in one batch; 0 takes as many as memory holds, up to 64 on a GPU"
    )
    slot_tokens: Annotated[int, Usually("what memory and model allow")] = Field(
        0, ge=0, description="longest prompt and answer together; 0 takes what memory and model allow"
    )
    kv_cache_mib: Annotated[int, Usually("planned from what is free")] = Field(
        0, ge=0, description="memory for keys and values; 0 plans it from what is free"
    )
    memory_limit_gib: Annotated[float | None, Usually("no limit")] = Field(
        None,
        gt=0,
        description="model, cache and work of the batching engine stay within this much memory of each GPU, or of the "
        "machine",
    )
    image_cache_mib: int = Field(256, ge=0, description="memory for encoded images that may be asked about again")
    cache_seconds: float = Field(
        600.0, ge=0, description="how long an unused image or conversation stays in the caches"
    )
    reuse: bool = Field(True, description="reuse encoded images and the keys and values of earlier turns")
    prefill_tokens: Annotated[int, Usually("chosen by device")] = Field(
        0, ge=0, description="prompt tokens read between two tokens of the others; 0 chooses by device"
    )
    cuda_graphs: bool = Field(True, description="replay recorded decode steps on CUDA")
    kernels: bool = Field(True, description="Triton kernels on CUDA, where they give the plain path's results")
    mixed_steps: bool = Field(True, description="answers and prompts in one recorded pass on CUDA, queued ahead")
    fast_path: bool = Field(True, description="fused forward passes instead of transformers' modules")
    step_timeout_s: float = Field(120.0, gt=0, description="a step that takes longer makes the engine unhealthy")
    repetition_guard: bool = Field(True, description="end answers that run in a loop")


class Keys(BaseModel):
    """Keys."""

    hf_token: Annotated[SecretStr | None, Usually("none")] = Field(
        None, description="model hub token, for private models"
    )


GROUPS: tuple[type[BaseModel], ...] = (
    Listening,
    Model,
    Choosing,
    Serving,
    Access,
    Batching,
    Sharing,
    Adapters,
    Uploads,
    Documents,
    Keys,
)


class Settings(
    Listening, Model, Choosing, Serving, Access, Batching, Sharing, Adapters, Uploads, Documents, Keys, BaseSettings
):
    """All of them, as one value that does not change while the program runs."""

    model_config = SettingsConfigDict(
        env_prefix="QWEN_DEMO_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        validate_default=True,
        protected_namespaces=(),
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values given in code, then variables, then `.env`, which may hold lines of others (`extra`); code may not."""
        if unknown := init_settings().keys() - cls.model_fields.keys():
            raise TypeError(f"there is no setting {', '.join(sorted(unknown))}")
        return init_settings, env_settings, dotenv_settings

    @field_validator("workers")
    @classmethod
    def _one_process(cls, value: int) -> int:
        if value != 1:
            raise ValueError(
                f"{value} is refused. Workers would each load the model anew, share neither queue nor batch, and lose the "
                "page's sessions between them. One process already answers many at once (--slots). For more GPUs there is "
                "--replicas; or start one process each, with its own CUDA_VISIBLE_DEVICES and --port, behind nginx"
            )
        return value

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the program."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def holds_model(self) -> bool:
        """Whether the engine has a model on this machine."""
        return self.engine not in ("remote", "scripted", "triton")

    @property
    def compares(self) -> bool:
        """Whether a second engine is loaded beside the first."""
        return bool(self.compare_engine or self.compare_quantization)

    @model_validator(mode="after")
    def _several_engines_here(self) -> Self:
        if self.compares and not self.holds_model:
            beside = "--compare-engine and --compare-quantization load a second engine beside one that has a model here"
            raise ValueError(f"{beside}; with --engine {self.engine} there is none")
        if self.replicas > 1 and (self.compares or not self.holds_model):
            raise ValueError("--replicas is for one engine that has a model here, without --compare-engine or the like")
        if self.merge_adapter and not self.holds_model:
            raise ValueError(f"--merge-adapter is for engines that have a model here, not --engine {self.engine}")
        if (self.go_first_file or self.give_way_file) and not self.holds_model:
            raise ValueError(
                f"--go-first-file and --give-way-file are for engines that have a model here, not --engine {self.engine}"
            )
        return self

    @model_validator(mode="after")
    def _addresses_are_of_servers_that_answer(self) -> Self:
        if self.base_url and self.engine not in ("remote", "triton"):
            raise ValueError(f"--base-url is for --engine remote or triton, not --engine {self.engine}")
        for url in self.base_url if self.engine == "remote" else ():
            if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", url):
                raise ValueError(f"--base-url {url} is no address: write it as http://127.0.0.1:8000/v1")
        return self

    @model_validator(mode="after")
    def _operators_have_something_to_do(self) -> Self:
        if self.operator_keys_file and self.replicas == 1 and self.adapters_dir is None:
            raise ValueError("--operator-keys-file is for --replicas and --adapters-dir, and there is neither")
        return self

    @model_validator(mode="after")
    def _pixel_bounds_in_order(self) -> Self:
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise ValueError(f"--min-pixels {self.min_pixels} is larger than --max-pixels {self.max_pixels}")
        return self
