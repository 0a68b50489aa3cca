"""The parts of a message as programs spell them: OpenAI's two APIs, vLLM, `qwen_vl_utils`.

Errors name the place in the caller's own words, so no spelling is turned into another before it is checked.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from qwen_demo.api.idle_fields import A_NUMBER, Dropped, Flag, PartFields, Strict, Whole
from qwen_demo.media import MOST_VIEWS, Viewing

# A `Tag` is what pydantic puts into an error's place; `http/errors.py` knows them and takes them out again.
_KINDS = {
    "text": "<text>",
    "input_text": "<text>",
    "output_text": "<text>",
    "refusal": "<refusal>",
    "image_url": "<image>",
    "input_image": "<image>",
    "image": "<image>",
    "video_url": "<video>",
    "input_video": "<video>",
    "video": "<video>",
    "model_url": "<model>",
    "file": "<file>",
    "input_file": "<file>",
}
KNOWN = ", ".join(_KINDS)


class Url(Strict):
    url: str
    detail: Literal["auto", "low", "high", "original"] = "auto"
    # What a file is, its own first bytes say.
    format: Dropped[str] = None


def as_url(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


AnyUrl = Annotated[Url, BeforeValidator(as_url, json_schema_input_type=str | Url)]


class TextPart(PartFields):
    type: Literal["text", "input_text", "output_text"] = "text"
    text: str


class RefusalPart(PartFields):
    """Of an earlier answer."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


class _Medium(PartFields):
    """Exactly one of the fields `spellings` of a subclass holds it."""

    url: str | None = None

    @property
    def spelling(self) -> str:
        """Name of the field that holds it."""
        return next(name for name in self._spellings() if getattr(self, name) is not None)

    @classmethod
    def _spellings(cls) -> tuple[str, ...]:
        raise NotImplementedError

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in self._spellings() if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(given) if given else self._spellings()[0]
            words = "give one of {names}, not several" if given else "it needs {names}"
            raise PydanticCustomError("which_medium", words, {"names": names, "field": given[-1] if given else ""})
        return self


class ImagePart(_Medium):
    type: Literal["image_url", "input_image", "image"] = "image_url"
    image_url: AnyUrl | None = None
    image: AnyUrl | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None

    @classmethod
    def _spellings(cls) -> tuple[str, ...]:
        return "image_url", "image", "url"

    @property
    def given(self) -> Url:
        found = getattr(self, self.spelling)
        return found if isinstance(found, Url) else Url(url=found)

    @property
    def wanted_detail(self) -> str:
        return self.detail or self.given.detail


class VideoPart(_Medium):
    """A clip, or its frames as images in their order."""

    type: Literal["video_url", "input_video", "video"] = "video_url"
    video_url: AnyUrl | None = None
    video: (
        Annotated[
            Annotated[AnyUrl, Tag("<url>")] | Annotated[Annotated[list[str], Field(min_length=1)], Tag("<frames>")],
            Discriminator(lambda value: "<frames>" if isinstance(value, list) else "<url>"),
        ]
        | None
    ) = None

    @classmethod
    def _spellings(cls) -> tuple[str, ...]:
        return "video_url", "video", "url"

    @property
    def given(self) -> str | list[str]:
        found = getattr(self, self.spelling)
        return found.url if isinstance(found, Url) else found


class ModelUrl(Strict):
    """Of a point cloud or 3D model, and how it is shown; what is left out, the server's settings say."""

    url: str
    up: Literal["auto", "x", "y", "z", "-x", "-y", "-z"] = "auto"
    views: Annotated[int, Field(ge=1, le=MOST_VIEWS), A_NUMBER] | None = None
    pixels: Whole | None = None
    cut: Literal["none", "floor", "ceiling", "both"] = "none"
    axes: Flag = True
    shading: Flag = True
    # What a file is, its own first bytes say.
    format: Dropped[str] = None

    @property
    def viewing(self) -> Viewing:
        return Viewing(self.up, self.views, self.pixels, self.cut, self.axes, self.shading)


class ModelPart(PartFields):
    """A point cloud or 3D model."""

    type: Literal["model_url"] = "model_url"
    model_url: Annotated[ModelUrl, BeforeValidator(as_url, json_schema_input_type=str | ModelUrl)]


class FileContent(Strict):
    file_data: str
    filename: str = "file"
    format: Dropped[str] = None


class FilePart(PartFields):
    """OpenAI's file with its bytes: an image, a video, a point cloud or 3D model."""

    type: Literal["file", "input_file"] = "file"
    file: FileContent | None = None
    file_data: str | None = None
    filename: str = "file"

    @property
    def given(self) -> FileContent:
        return self.file or FileContent(file_data=self.file_data or "", filename=self.filename)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.file is None) == (self.file_data is None):
            raise PydanticCustomError("which_medium", "it needs file or file_data, one of them", {"field": ""})
        return self


def _kind(part: Any) -> str | None:
    """Which model reads a part: by its type, and where it has none, by its only member that tells."""
    if not isinstance(part, dict):
        return None
    kind = part.get("type")
    if kind is None:
        found = {_KINDS[name] for name in part if name in _KINDS}
        return found.pop() if len(found) == 1 else None
    return _KINDS.get(kind) if isinstance(kind, str) else None


AnyPart = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ImagePart, Tag("<image>")]
    | Annotated[VideoPart, Tag("<video>")]
    | Annotated[ModelPart, Tag("<model>")]
    | Annotated[FilePart, Tag("<file>")],
    Discriminator(
        _kind,
        custom_error_type="unknown_part",
        custom_error_message="The type of a part must be one of " + KNOWN,
    ),
]


def _as_parts(value: Any) -> Any:
    """A list of parts, where one may be a plain text."""
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return value
    return [{"type": "text", "text": part} if isinstance(part, str) else part for part in value]


Content = Annotated[
    Annotated[str, Tag("<words>")]
    | Annotated[
        Annotated[
            list[AnyPart],
            Field(fail_fast=True),
            BeforeValidator(_as_parts, json_schema_input_type=list[AnyPart | str] | AnyPart),
        ],
        Tag("<parts>"),
    ],
    Discriminator(lambda value: "<words>" if isinstance(value, str) else "<parts>"),
]
