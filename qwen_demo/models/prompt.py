"""Conversation -> the tensors that Qwen2.5-VL reads.

The processor's own chat template, `qwen_vl_utils` and the image processor do the work, so ids and
patches are those of the model card's own code, but for what people type (`template.py`), and that an image's place is
expanded in the ids, not in the text. Positions (multimodal rotary,
Qwen2.5-VL report 2025, section 2.1) are computed here and passed on explicitly, because
transformers would keep their offset on the model, where concurrent requests share it.
"""

import math
import threading
from dataclasses import dataclass, replace

import PIL.Image
import torch

from qwen_demo.errors import ContextTooLong
from qwen_demo.models.patches import Patches, stacked
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.models.template import ChatTemplate
from qwen_demo.sentences import Sentence
from qwen_demo.types import ChatRequest, Image, ModelInfo, Text, Video

TEXT, IMAGE, VIDEO = 0, 1, 2
MERGE = 2  # patches along each side of a token


@dataclass(frozen=True, slots=True)
class Medium:
    """One image or clip of a prompt.

    Attributes:
        digest: of the pixels, see `Image.digest`.
        grid_thw: patches in time, height and width, before merging.
        start, tokens: its place in the prompt, in tokens.
        pixels: [frames, height, width, 3] uint8, or [patches, channels * temporal_patch * patch * patch] float32.
        seconds_per_grid: time between two temporal patches; 0 for a still.
        patches: how bytes become patches; None where they are.
    """

    digest: str
    grid_thw: tuple[int, int, int]
    start: int
    tokens: int
    pixels: torch.Tensor
    seconds_per_grid: float = 0.0
    patches: Patches | None = None

    @property
    def is_video(self) -> bool:
        return self.seconds_per_grid > 0

    @property
    def patch_count(self) -> int:
        return math.prod(self.grid_thw)

    def read(self) -> torch.Tensor:
        """The patches in float32."""
        return self.pixels if self.patches is None else self.patches.read(self.pixels)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Inputs of one request, on the CPU, without a batch dimension.

    Attributes:
        input_ids: [length] int64.
        token_types: [length] int32: 0 text, 1 image, 2 video.
        positions: [3, length] int64, rows time, height, width.
        rope_delta: token `length + n` has position `length + n + rope_delta` on all axes.
        media: images and clips in the order of their places.
    """

    input_ids: torch.Tensor
    token_types: torch.Tensor
    positions: torch.Tensor
    rope_delta: int
    media: tuple[Medium, ...]

    @property
    def length(self) -> int:
        return self.input_ids.shape[0]

    @property
    def image_tokens(self) -> int:
        return sum(medium.tokens for medium in self.media)

    def model_inputs(self, device: torch.device | str) -> dict[str, torch.Tensor]:
        """Keyword arguments of the model's `forward` or `generate` for a batch of one."""
        inputs = {
            "input_ids": self.input_ids[None],
            "attention_mask": torch.ones_like(self.input_ids)[None],
            "mm_token_type_ids": self.token_types[None],
            # A fourth, plain row goes first: transformers builds its causal mask from it.
            "position_ids": torch.cat([torch.arange(self.length)[None], self.positions])[:, None],
        }
        for kind, pixels_name, grid_name in (
            (False, "pixel_values", "image_grid_thw"),
            (True, "pixel_values_videos", "video_grid_thw"),
        ):
            media = [medium for medium in self.media if medium.is_video is kind]
            if media:
                inputs[pixels_name] = torch.cat([medium.read() for medium in media])
                inputs[grid_name] = torch.tensor([medium.grid_thw for medium in media])
        return {name: tensor.to(device) for name, tensor in inputs.items()}


class PromptBuilder:
    """Builds prompts for one loaded model. Safe to use from several threads.

    Args:
        processor: `Qwen2_5_VLProcessor` of the checkpoint.
        get_rope_index: the model's method of that name.
        info: of the model; its context and its bounds of an image's area count.
    """

    def __init__(self, processor, get_rope_index, info: ModelInfo):
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.context_tokens = info.context_tokens
        self._info = info
        self._get_rope_index = get_rope_index
        self._pad_ids = {processor.image_token_id: IMAGE, processor.video_token_id: VIDEO}
        self._merge = processor.image_processor.merge_size**2
        self.patches = Patches.as_processor(processor)
        self._template = ChatTemplate(processor)
        self._tokenizing = threading.Lock()

    def build(self, request: ChatRequest) -> Prompt:
        """Raises `ContextTooLong` when the prompt leaves no room for an answer."""
        parts = [part for message in request.messages for part in message.parts]
        bounds = PixelBounds.of(self._info, request)
        patches = [self._patches(part, bounds) for part in parts if not isinstance(part, Text)]
        with self._tokenizing:  # it is told each time whether special tokens are text
            ids = self._template.token_ids(request)
        input_ids, token_types, media = self._expand(ids, patches)
        if len(input_ids) >= self.context_tokens:
            images = sum(medium.tokens for medium in media)
            raise ContextTooLong(
                Sentence(
                    "The conversation has {tokens} tokens ({images} of them images), and the model reads {limit} "
                    "with its answer. Clear the conversation, send fewer or smaller images, or lower the pixel "
                    "budget.",
                    tokens=len(input_ids),
                    images=images,
                    limit=self.context_tokens,
                ),
                field="messages",
            )
        positions, rope_delta = self._positions(input_ids, token_types, media)
        return Prompt(input_ids, token_types, positions, rope_delta, tuple(media))

    def room(self, prompt: Prompt, max_new_tokens: int) -> int:
        """How many tokens the answer may have: what was asked for, cut to the context."""
        return min(max_new_tokens, self.context_tokens - prompt.length)

    def _patches(self, part: Image | Video, bounds: PixelBounds) -> Medium:
        if isinstance(part, Image):
            images, seconds = [_resized(part.pixels, part.size, bounds)], 0.0
            if self.patches is not None:
                return self._cut(part.digest, images, seconds)
            made = self.processor.image_processor(images=images, do_resize=False, return_tensors="pt")
            grid, pixels = made["image_grid_thw"][0], made["pixel_values"]
        else:
            processor = self.processor.video_processor
            frame_bounds = bounds.of_frames(part.raster.count)
            frames = [_resized(frame, part.raster.size, frame_bounds) for frame in part.frames]
            seconds = processor.temporal_patch_size / part.fps
            if self.patches is not None:
                return self._cut(part.digest, frames, seconds)
            made = processor(videos=[frames], do_resize=False, do_sample_frames=False, return_tensors="pt")
            grid, pixels = made["video_grid_thw"][0], made["pixel_values_videos"]
        t, h, w = grid.tolist()
        return Medium(part.digest, (t, h, w), 0, t * h * w // self._merge, pixels, seconds)

    def _cut(self, digest: str, images: list[PIL.Image.Image], seconds: float) -> Medium:
        assert self.patches is not None
        pixels = stacked(images)
        t, h, w = self.patches.grid(pixels)
        return Medium(digest, (t, h, w), 0, t * h * w // self._merge, pixels, seconds, self.patches)

    def _expand(self, ids: list[int], patches: list[Medium]) -> tuple[torch.Tensor, torch.Tensor, list[Medium]]:
        expanded: list[int] = []
        types: list[int] = []
        media: list[Medium] = []
        left = iter(patches)
        for token in ids:
            kind = self._pad_ids.get(token, TEXT)
            count = 1
            if kind is not TEXT:
                made = next(left)
                count = made.tokens
                media.append(replace(made, start=len(expanded)))
            expanded += [token] * count
            types += [kind] * count
        assert len(media) == len(patches), "the template placed fewer images than the messages hold"
        return torch.tensor(expanded), torch.tensor(types, dtype=torch.int32), media

    def _positions(self, ids, types, media: list[Medium]) -> tuple[torch.Tensor, int]:
        if not any(medium.is_video for medium in media):
            return positions_with_stills(len(ids), media)
        stills = [medium.grid_thw for medium in media if not medium.is_video]
        clips = [medium for medium in media if medium.is_video]
        positions, delta = self._get_rope_index(
            ids[None],
            types[None],
            image_grid_thw=torch.tensor(stills) if stills else None,
            video_grid_thw=torch.tensor([clip.grid_thw for clip in clips]) if clips else None,
            second_per_grid_ts=[clip.seconds_per_grid for clip in clips] if clips else None,
        )
        return positions[:, 0], int(delta)


def positions_with_stills(length: int, media: list[Medium]) -> tuple[torch.Tensor, int]:
    """As `get_rope_index`: words count on in all rows, an image takes as many positions as its longer side has tokens."""
    parts, written, position = [], 0, 0
    for medium in media:
        words = medium.start - written
        parts.append(torch.arange(position, position + words).expand(3, -1))
        position += words
        height, width = (side // MERGE for side in medium.grid_thw[1:])
        rows = torch.arange(height).repeat_interleave(width)
        columns = torch.arange(width).repeat(height)
        parts.append(torch.stack([torch.zeros_like(rows), rows, columns]) + position)
        position += max(height, width)
        written = medium.start + medium.tokens
    parts.append(torch.arange(position, position + length - written).expand(3, -1))
    return torch.cat(parts, dim=1), position - written


def _resized(pixels: PIL.Image.Image, size: tuple[int, int], bounds: PixelBounds) -> PIL.Image.Image:
    """As `qwen_vl_utils` makes it for Qwen2.5-VL: bicubic, both sides multiples of the patch side.

    Args:
        size: as the image was sent. It was scaled down since if it is larger than `pixels`, and must still get the
            grid of its own size.
    """
    from qwen_vl_utils import process_vision_info, smart_resize

    seen = bounds.seen(*size)
    if pixels.size == seen and pixels.mode == "RGB":
        return pixels
    area = seen[0] * seen[1]
    limits = {"min_pixels": min(bounds.min_pixels, area), "max_pixels": max(bounds.max_pixels, area)}
    # What was scaled down may round otherwise, and of long and thin images the library would make nothing.
    if smart_resize(pixels.height, pixels.width, bounds.patch, **limits) != seen[::-1]:
        pixels = pixels.resize(seen, PIL.Image.Resampling.BICUBIC)
    part = {"type": "image", "image": pixels, **limits}
    images, _ = process_vision_info([{"role": "user", "content": [part]}], image_patch_size=bounds.patch // MERGE)
    return images[0]
