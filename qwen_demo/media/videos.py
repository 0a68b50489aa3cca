"""Untrusted bytes -> `Video`: starts `video_worker.py`, bounds it, and builds the value.

FFmpeg is large and written in C; it runs in a process of its own that has no secret, no network
and no files, is bounded in memory and time, and is killed when time is up or nobody waits.
"""

import asyncio
import hashlib
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from qwen_demo.errors import MediaRefused
from qwen_demo.media import workers
from qwen_demo.media.gates import video_gate
from qwen_demo.media.images import make_image
from qwen_demo.media.kinds import check_bytes, file_format, label, refusal_of_format
from qwen_demo.media.memory_budget import budget_of_loop
from qwen_demo.raster import Raster
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Video

MAX_FRAMES_PER_SECOND = 120  # with max_video_seconds: how many frames a file may have
WORKER_MEMORY = 2048 * MIB  # address space, beside the sampled frames; 4K with its references fits

_DEMUXERS = {"MP4": "mov,mp4,m4a,3gp,3g2,mj2", "MATROSKA": "matroska,webm", "AVI": "avi", "GIF": "gif"}
log = logging.getLogger(__name__)

_WORKER = Path(__file__).with_name("video_worker.py")


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


async def decode_video(data: bytes, limits: Settings, *, clip: Clip | None = None, name: str = "video") -> Video:
    """Sample frames of one video, evenly spaced in time, an even number of them.

    Frames come at `fps` (never above the clip's own rate) from the start, as long as
    `max_frames` suffices, else spread from the first frame to the last. Each is what is on
    screen at its time, upright, on white, scaled down to `frame_pixels` if larger; sides under
    28 pixels are scaled up as for pictures. A video of one frame gives it twice.

    Args:
        data: content of an MP4, MOV, WebM, MKV, AVI or GIF file; H.264, H.265, VP8, VP9, AV1,
            MPEG-4, MJPEG or GIF inside.

    Raises:
        MediaRefused: over a limit, of another kind, damaged, or too slow to decode.
        Overloaded: what others hold leaves no room for it.
    """
    name = label(name)
    clip = clip or Clip()
    check_bytes(len(data), "video", limits, name)
    found = file_format(data[:512])
    if found not in _DEMUXERS:
        raise refusal_of_format(name, found, "video")
    _check_clip(clip, limits)
    job = _job(found, clip, limits)
    # The worker's answer (3 bytes a pixel), the frames made of it (4), and one frame more.
    sampled = job["max_frames"] * limits.frame_pixels
    async with video_gate(), budget_of_loop(limits.memory_budget_mib * MIB).passing(8 * sampled) as share:
        header, body = await _run(job, data, limits, name)
        video = await asyncio.to_thread(_build, header, body, name)
        share.keep(video.raster.nbytes, video.raster)
        return video


def _check_clip(clip: Clip, limits: Settings) -> None:
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


def _job(found: str, clip: Clip, limits: Settings) -> dict:
    threads = min(4, os.cpu_count() or 1)
    max_frames = clip.max_frames or limits.max_frames
    return {
        **workers.place(_WORKER),
        "format": _DEMUXERS[found],
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "fps": clip.fps or limits.video_fps,
        "max_frames": max_frames,
        "max_seconds": limits.max_video_seconds,
        "max_packets": math.ceil(limits.max_video_seconds * MAX_FRAMES_PER_SECOND),
        "max_pixels": limits.max_video_pixels,
        "max_aspect_ratio": limits.max_aspect_ratio,
        "frame_pixels": limits.frame_pixels,
        "threads": threads,
        "memory_bytes": WORKER_MEMORY + 8 * max_frames * limits.frame_pixels,
        "cpu_s": math.ceil(limits.video_timeout_s) * threads + 1,  # should this process die first
    }


async def _run(job: dict, data: bytes, limits: Settings, name: str) -> tuple[dict, bytes]:
    def body_bytes(header: dict) -> int:
        _checked(header, job, limits, name)
        return header["width"] * header["height"] * 3 * len(header["times_s"])

    try:
        return await workers.run(job, data, limits.video_timeout_s, body_bytes)
    except TimeoutError as exc:
        raise MediaRefused(
            Sentence(
                "Decoding {name} took longer than {limit_s:g} s (--video-timeout-s). Send a shorter or smaller video.",
                name=name,
                limit_s=limits.video_timeout_s,
            )
        ) from exc
    except (ValueError, TypeError, LookupError, asyncio.IncompleteReadError) as exc:
        raise MediaRefused(
            Sentence("{name} made the decoder fail: it is damaged or needs too much memory.", name=name)
        ) from exc


def _checked(header: dict, job: dict, limits: Settings, name: str) -> None:
    """Whether the worker's header keeps to the job: what it decodes may have taken it over."""
    if "detail" in header:
        log.error("the video worker failed: %r", header["detail"])
    if "refused" in header:
        raise _refusal(header["refused"], [float(value) for value in header["values"]], limits, name)
    area = int(header["width"]) * int(header["height"])
    times = [float(time) for time in header["times_s"]]
    plain = all(math.isfinite(value) for value in (*times, header["fps"], header["duration_s"]))
    if not (0 < area <= job["frame_pixels"] and 2 <= len(times) <= job["max_frames"] and plain):
        raise ValueError("the worker's header is out of bounds")


_REFUSALS = {
    "nothing": "{name} has no pictures in it.",
    "codec": "{name} is encoded in a way that is not accepted. Convert it to MP4 with H.264.",
    "memory": "{name} needs more memory to decode than is allowed. Send a smaller video.",
    "start": "{name} ends at {value:.1f} s, before the part that was asked for.",
    "seconds": "{name} lasts {value:,.0f} s; the limit is {seconds:g} s. "
    "Send a shorter one, or start the server with a higher --max-video-seconds.",
    "frames": "{name} has more than {value:,.0f} frames: {rate} per second of the longest "
    "video (--max-video-seconds). Send a shorter one.",
    "size": "{name} has frames of {size} pixels; the limits are {pixels:,} pixels (--max-video-pixels) and {ratio:g}:1 "
    "(--max-aspect-ratio). Scale it down.",
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
        )
    )


def _build(header: dict, body: bytes, name: str) -> Video:
    size = (header["width"], header["height"])
    length = size[0] * size[1] * 3
    frames = tuple(
        make_image(PIL.Image.frombytes("RGB", size, body[start : start + length])).pixels
        for start in range(0, len(body), length)
    )
    times = tuple(header["times_s"])
    digest = hashlib.sha256(f"{size[0]}x{size[1]}:{times}".encode())
    digest.update(body)
    return Video(Raster.of(*frames), times, header["fps"], header["duration_s"], digest.hexdigest(), name)
