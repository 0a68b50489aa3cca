"""Untrusted bytes -> `Video`: its limits, its refusals in words. `video_decoder.py` does the work, unbelieved."""

import asyncio
import hashlib
import math
import os
from dataclasses import dataclass
from typing import Any

from qwen_demo.errors import MediaRefused
from qwen_demo.media.content import Content
from qwen_demo.media.decoding import Context, Plan, numbers, refused_in_words
from qwen_demo.media.enlarge import MODEL_MIN_SIDE
from qwen_demo.media.jobs import Task
from qwen_demo.media.sniff import file_format
from qwen_demo.raster import Raster
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Video

MAX_FRAMES_PER_SECOND = 120  # with max_video_seconds: how many frames a file may have
DECODER_MEMORY = 2048 * MIB  # address space; 4K with its references fits

_DEMUXERS = {"MP4": "mov,mp4,m4a,3gp,3g2,mj2", "MATROSKA": "matroska,webm", "AVI": "avi", "GIF": "gif"}


@dataclass(frozen=True, slots=True)
class Clip:
    """Which part of a video is sampled, and how densely. None takes the whole, or the setting.

    Attributes:
        start_s, end_s: seconds from the first frame.
        fps: frames sampled per second.
        max_frames: at most this many; the setting of that name is the upper bound.
    """

    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None
    max_frames: int | None = None


async def decode_video(content: Content, context: Context, name: str, clip: Clip) -> Video:
    """Sample frames of one video, evenly spaced in time, an even number of them.

    Frames come at `fps` (never above the clip's own rate) from the start, as long as
    `max_frames` suffices, else spread from the first frame to the last. Each is what is on
    screen at its time, upright, on white, scaled down to `frame_pixels` if larger; sides under
    28 pixels are scaled up as for images. A video of one frame gives it twice.

    Args:
        content: of an MP4, MOV, WebM, MKV, AVI or GIF file; H.264, H.265, VP8, VP9, AV1,
            MPEG-4, MJPEG or GIF inside.

    Raises:
        MediaRefused: over a limit, damaged, or too slow to decode.
        Overloaded: what others hold leaves no room for it, or no decoder is free.
    """
    limits = context.settings
    check_clip(clip, limits)
    task = _task(content, clip, limits)
    largest = max(limits.frame_pixels, math.ceil(MODEL_MIN_SIDE**2 * limits.max_aspect_ratio * 1.1))

    def plan(answer: dict[str, Any]) -> Plan:
        count, width, height, peak_bytes = numbers(answer, "count", "width", "height", "peak_bytes")
        times, rate, length = _times(answer)
        plain = all(math.isfinite(value) for value in (*times, rate, length))
        if not (plain and width * height <= largest and 2 <= count == len(times) <= task.job["max_frames"]):
            raise ValueError("the decoder's answer is out of bounds")
        return Plan(count, width, height, min(peak_bytes, task.memory_bytes))

    with refused_in_words(lambda code, values: _refusal(code, values, limits, name)):
        decoded = await context.decode(task, content, plan)
        times, rate, length = _times(decoded.first)
    digest = await asyncio.to_thread(digest_of_frames, decoded.raster, times)
    return Video(decoded.raster, times, rate, length, digest, name)


def _times(answer: dict[str, Any]) -> tuple[tuple[float, ...], float, float]:
    """Times of the frames, their rate and the clip's length."""
    return tuple(float(time) for time in answer["times_s"]), float(answer["fps"]), float(answer["duration_s"])


def digest_of_frames(raster: Raster, times: tuple[float, ...]) -> str:
    digest = hashlib.sha256(f"{raster.width}x{raster.height}:{times}".encode())
    digest.update(raster.array().data)
    return digest.hexdigest()


def check_clip(clip: Clip, limits: Settings) -> None:
    """Raises `MediaRefused`."""
    start, end = clip.start_s or 0.0, math.inf if clip.end_s is None else clip.end_s
    if not 0 <= start < end:
        raise MediaRefused(
            Sentence(
                "The part from {start:g} s to {end:g} s of a video is empty. Give 0 <= start < end.",
                start=start,
                end=end,
            )
        )
    if clip.fps is not None and not 0 < clip.fps < math.inf:
        raise MediaRefused(f"{clip.fps:g} sampled frames per second were asked for; give a number above 0.")
    if clip.max_frames is not None and not 2 <= clip.max_frames <= limits.max_frames:
        raise MediaRefused(
            f"{clip.max_frames} frames were asked for; the limits are 2 and {limits.max_frames} (--max-frames)."
        )


def _task(content: Content, clip: Clip, limits: Settings) -> Task:
    threads = min(4, os.cpu_count() or 1)
    job = {
        "format": _DEMUXERS[file_format(content.head) or ""],
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "fps": clip.fps or limits.video_fps,
        "max_frames": clip.max_frames or limits.max_frames,
        "max_seconds": limits.max_video_seconds,
        "max_packets": math.ceil(limits.max_video_seconds * MAX_FRAMES_PER_SECOND),
        "max_pixels": limits.max_video_pixels,
        "max_aspect_ratio": limits.max_aspect_ratio,
        "frame_pixels": limits.frame_pixels,
        "threads": threads,
    }
    memory_bytes = DECODER_MEMORY + 16 * limits.frame_pixels
    return Task("video", job, limits.video_timeout_s, memory_bytes, threads)


_REFUSALS = {
    "nothing": "{name} has no images in it.",
    "codec": "{name} is encoded in a way that is not accepted. Convert it to MP4 with H.264.",
    "memory": "{name} needs more memory to decode than is allowed. Send a smaller video.",
    "start": "{name} ends at {value:.1f} s, before the part that was asked for.",
    "seconds": "{name} lasts {value:,.0f} s; the limit is {seconds:g} s. "
    "Send a shorter one, or start the server with a higher --max-video-seconds.",
    "frames": "{name} has more than {value:,.0f} frames: {rate} per second of the longest "
    "video (--max-video-seconds). Send a shorter one.",
    "size": "{name} has frames of {size} pixels; the limits are {pixels:,} pixels (--max-video-pixels) and {ratio:g}:1 "
    "(--max-aspect-ratio). Scale it down.",
    "late": "Decoding {name} took longer than {limit_s:g} s (--video-timeout-s). Send a shorter or smaller video.",
    "failed": "{name} made the decoder fail: it is damaged or needs too much memory.",
}


def _refusal(code: str, values: list[float], limits: Settings, name: str) -> MediaRefused:
    template = _REFUSALS.get(code, "{name} cannot be read: the file is damaged or cut short.")
    return MediaRefused(
        Sentence(
            template,
            name=name,
            value=values[0] if values else 0.0,
            size=" x ".join(f"{value:.0f}" for value in values),
            seconds=limits.max_video_seconds,
            rate=MAX_FRAMES_PER_SECOND,
            pixels=limits.max_video_pixels,
            ratio=limits.max_aspect_ratio,
            limit_s=limits.video_timeout_s,
        )
    )
