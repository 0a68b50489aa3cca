"""What an answer was given with: model and parameters, kept with the answer in the id of its note.

The controls may have changed since, and a conversation that was kept may be older than the model
that answers now. It travels through browsers, so what comes back is checked like any other input.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from qwen_demo.types import ModelInfo, Sampling

CONTROLS = 8  # options of `sampling_of`, system prompt, schema and adapter
FRESH_SEED = -1  # on the page: a new seed for each answer
_Area = Annotated[int, Field(ge=0, le=1 << 26)]
_Name = Annotated[str, StringConstraints(max_length=300)]


class GenerationParams(BaseModel):
    """Bounds are those of the page's controls; `max_pixels` None is the model's own budget.

    Attributes:
        sees: fewest and most pixels of an image that the model took; None where that was not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: _Name = ""
    revision: _Name | None = None
    quantization: _Name = "none"
    max_new_tokens: int = Field(512, ge=1, le=1 << 20)
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, ge=0.05, le=1)
    repetition_penalty: float = Field(1.0, ge=1, le=2)
    seed: int | None = Field(None, ge=0, lt=1 << 53)
    json_schema: Annotated[str, StringConstraints(max_length=50_000)] | None = None
    system_prompt: Annotated[str, StringConstraints(max_length=50_000)] = ""
    max_pixels: int | None = Field(None, ge=28 * 28, le=1 << 26)
    adapter: _Name = ""
    sees: tuple[_Area, _Area] | None = None

    def sight(self, model: ModelInfo) -> ModelInfo | None:
        """`model` with the bounds of the one that answered, by which its boxes are placed; None where they are unknown."""
        if self.sees:
            return replace(model, min_pixels=self.sees[0], max_pixels=self.sees[1])
        return model if self.model == model.model_id else None

    @property
    def answered_by(self) -> str:
        """For people: the model, and the adapter beside it."""
        return f"{self.model} + {self.adapter}" if self.adapter else self.model

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            repetition_penalty=self.repetition_penalty,
            seed=self.seed,
            json_schema=self.json_schema,
        )


def encode(sampling: Sampling, system_prompt: str, max_pixels: int | None, model: ModelInfo, adapter: str = "") -> str:
    """As the note's id has it; "" where the values are beyond the page's controls."""
    try:
        params = GenerationParams(
            model=model.model_id,
            revision=model.revision,
            quantization=model.quantization,
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            repetition_penalty=sampling.repetition_penalty,
            seed=sampling.seed,
            json_schema=sampling.json_schema,
            system_prompt=system_prompt.strip(),
            max_pixels=max_pixels,
            adapter=adapter,
            sees=(model.min_pixels, model.max_pixels) if model.max_pixels else None,
        )
    except ValidationError:
        return ""
    return params.model_dump_json(exclude_defaults=True)


def decode(note_id: str) -> GenerationParams | None:
    """Of a note's id, which begins with the pixel budget; None where nothing of the kind is in it."""
    try:
        return GenerationParams.model_validate_json(note_id.partition(";")[2])
    except ValidationError:
        return None


def control_values(params: GenerationParams, length: int, model: ModelInfo) -> list:
    """What budget and options are set to: in the order of `sampling_of`, then system prompt, schema and adapter.

    Args:
        length: of the longest answer that this server gives.
    """
    budget = (params.max_pixels or 0) // model.patch_pixels**2
    seed = FRESH_SEED if params.seed is None else params.seed
    sampling = [params.temperature, length, params.top_p, params.repetition_penalty, seed]
    return [budget, *sampling, params.system_prompt, params.json_schema or "", params.adapter]


def seed_of(value: float | None) -> int | None:
    """What the page's field for a seed says."""
    return None if value is None or value <= FRESH_SEED else int(value)


def sampling_of(temperature, length, top_p, penalty, seed, schema) -> Sampling:
    return Sampling(
        max_new_tokens=int(length),
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=penalty,
        seed=seed_of(seed),
        json_schema=(schema or "").strip() or None,
    )
