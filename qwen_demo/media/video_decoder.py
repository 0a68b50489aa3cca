"""Samples the frames of one clip, in a process of its own that `zygote.py` forks. `videos.py` has words and checks.

A clip that names other files (playlists, references) gets nothing: no protocol is allowed and no file can be opened.
"""

import bisect
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# PyAV imports its submodules at first use, when no file can be opened any more.
import av
import av.audio.codeccontext
import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream
import PIL.Image
from av.container import InputContainer
from av.video.stream import VideoStream

from qwen_demo.media.enlarge import enlarged
from qwen_demo.media.exchange import Exchange, Refused, write_image

CODECS = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,mpeg4,mjpeg,gif"
DAMAGE = (av.FFmpegError, ArithmeticError, ValueError)
# What a codec may hold: sixteen frames that others refer to, those that threads work on, and copies on the way out.
HELD_FRAMES = 22
FRAME_BITS = 12  # for each pixel, where the format is not known
THREAD_BYTES = 72 << 20  # of address space: stack, and the room that its memory is taken from
_TURNS = (PIL.Image.Transpose.ROTATE_90, PIL.Image.Transpose.ROTATE_180, PIL.Image.Transpose.ROTATE_270)
_TOLERANCE_S = 1e-3  # Matroska rounds times to milliseconds


def decode(job: dict[str, Any], file: int, exchange: Exchange) -> dict[str, Any]:
    """The frames on screen at evenly spaced times, written as they are decoded.

    Args:
        job: `format`, `threads`, what `Clip` says, and limits (`videos.py`).

    Returns:
        `width` and `height`.

    Raises:
        Refused: over a limit.
        av.FFmpegError: damaged.
    """
    options = {
        "codec_whitelist": CODECS,
        "format_whitelist": job["format"],
        "protocol_whitelist": "none",
        "max_pixels": str(job["max_pixels"]),
    }
    source = io.FileIO(file, "rb", closefd=False)
    source.seek(0)  # where its writer left it is its end
    with av.open(source, "r", format=job["format"].partition(",")[0], options=options) as container:
        stream = _video_stream(container)
        _check_size(stream, job)
        exchange.keep_within(_peak_bytes(stream) + THREAD_BYTES * job["threads"])
        stream.codec_context.options = {"max_pixels": str(job["max_pixels"])}
        stream.codec_context.thread_count = job["threads"]
        stream.thread_type = "AUTO"
        sample = _sample(container, stream, job)
        memory, size = None, (0, 0)
        for stamp, image in _images_at(container, stream, sample, job):
            if memory is None:
                size = image.size
                memory = exchange.memory_for(_plan(sample, stream, size))
            for index, wanted in enumerate(sample.stamps):
                if wanted == stamp:
                    write_image(memory, image, index)
    return {"width": size[0], "height": size[1]}


@dataclass(frozen=True, slots=True)
class _Sample:
    """Which frames are wanted: their times, and the stamps of the frames on screen then.

    Attributes:
        keys: stamps that decoding can start at.
    """

    times_s: list[float]
    stamps: list[int]
    fps: float
    duration_s: float
    keys: list[int]


def _sample(container: InputContainer, stream: VideoStream, job: dict[str, Any]) -> _Sample:
    stamps, keys = _scan(container, stream, job)
    seconds = [(stamp - stamps[0]) * _tick_s(stream) for stamp in stamps]
    frame_s = seconds[-1] / (len(seconds) - 1) if len(seconds) > 1 else 1 / float(stream.average_rate or 1)
    duration_s = seconds[-1] + frame_s
    if duration_s > job["max_seconds"]:
        raise Refused("seconds", duration_s)
    times, fps = sample_times(duration_s, frame_s, job)
    wanted = [stamps[max(0, bisect.bisect_right(seconds, time + _TOLERANCE_S) - 1)] for time in times]
    return _Sample(times, wanted, fps, duration_s, keys)


def _plan(sample: _Sample, stream: VideoStream, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "count": len(sample.times_s),
        "width": size[0],
        "height": size[1],
        "peak_bytes": _peak_bytes(stream),
        "times_s": sample.times_s,
        "fps": sample.fps,
        "duration_s": sample.duration_s,
    }


def _peak_bytes(stream: VideoStream) -> int:
    context = stream.codec_context
    bits = context.format.padded_bits_per_pixel if context.format else FRAME_BITS
    return HELD_FRAMES * context.width * context.height * max(FRAME_BITS, bits) // 8


def _tick_s(stream: VideoStream) -> float:
    """Seconds of one unit of the stamps."""
    if not stream.time_base:
        raise Refused("damaged")
    return float(stream.time_base)


def sample_times(duration_s: float, frame_s: float, job: dict[str, Any]) -> tuple[list[float], float]:
    """Evenly spaced times, an even number of them, and their rate.

    At `job["fps"]` (or the clip's own rate, if lower) from the start, while `job["max_frames"]`
    suffices; else spread from the first frame to the last.

    Raises:
        Refused: the wanted part begins after the end.
    """
    start = job["start_s"] or 0.0
    end = min(job["end_s"] or duration_s, duration_s)
    if start >= duration_s:
        raise Refused("start", duration_s)
    rate = min(job["fps"], 1 / frame_s)
    most = job["max_frames"] // 2 * 2
    count = math.floor((end - start) * rate + 1e-6) // 2 * 2
    if 2 <= count <= most:
        return [start + index / rate for index in range(count)], rate
    count = max(2, min(count, most))
    step = max(0.0, end - frame_s - start) / (count - 1)
    return [start + index * step for index in range(count)], (1 / step if step else rate)


def _video_stream(container: InputContainer) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise Refused("nothing")
    if stream.codec_context is None or stream.codec_context.codec.name not in CODECS.split(","):
        raise Refused("codec")
    return stream


def _check_size(stream: VideoStream, job: dict[str, Any]) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width < 1 or height < 1:
        raise Refused("damaged")
    if width * height > job["max_pixels"] or max(width, height) > job["max_aspect_ratio"] * min(width, height):
        raise Refused("size", width, height)


def _scan(container: InputContainer, stream: VideoStream, job: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Time stamps of all frames, and of those that decoding can start at, in order.

    Read from the packets, without decoding: the durations that files declare are missing
    (browser recordings) or lie.
    """
    stamps, keys = set(), set()
    packets = 0
    longest = job["max_seconds"] / _tick_s(stream)
    for packet in container.demux(stream):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or not packet.size or packet.is_discard:
            continue
        packets += 1
        stamps.add(stamp)
        if packet.is_keyframe:
            keys.add(stamp)
        if packets > job["max_packets"]:
            raise Refused("frames", job["max_packets"])
        if packets % 1024 == 0 and max(stamps) - min(stamps) > longest:
            raise Refused("seconds", (max(stamps) - min(stamps)) * _tick_s(stream))
    if not stamps:
        raise Refused("nothing")
    return sorted(stamps), sorted(keys)


def _images_at(
    container: InputContainer, stream: VideoStream, sample: _Sample, job: dict[str, Any]
) -> Iterator[tuple[int, PIL.Image.Image]]:
    """Each wanted stamp with its frame, in order, decoding from the nearest key frame before it."""
    targets, keys = sorted(set(sample.stamps)), sample.keys
    upright = _Upright(stream, job)
    frame = frames = None
    may_seek = True
    for target in targets:
        key = keys[max(0, bisect.bisect_right(keys, target) - 1)] if keys else target
        if frames is None or (may_seek and frame is not None and key > _stamp(frame)):
            frame, frames = None, _frames_from(container, stream, min(key, target))
            frame = next(frames, None)
            if frame is not None and _stamp(frame) > target and target != targets[0]:
                # An index that leads too far: from now on, decode everything.
                may_seek = False
                frames = _frames_from(container, stream, targets[0])
                frame = next(frames, None)
        while frame is not None and _stamp(frame) < target:
            following = next(frames, None)
            if following is None:
                break
            frame = following
        if frame is None:
            raise Refused("damaged")
        yield target, upright(frame)


def _frames_from(container: InputContainer, stream: VideoStream, stamp: int) -> Iterator[av.VideoFrame]:
    container.seek(stamp, stream=stream, backward=True)
    return container.decode(stream)


def _stamp(frame: av.VideoFrame) -> int:
    stamp = frame.pts if frame.pts is not None else frame.dts
    if stamp is None:
        raise Refused("damaged")
    return stamp


class _Upright:
    """Turns frames into upright RGB images of one size, of at most `frame_pixels`, on white."""

    def __init__(self, stream: VideoStream, job: dict[str, Any]):
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self._aspect_limit = job["max_aspect_ratio"]
        self._pixels = job["frame_pixels"]
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: av.VideoFrame) -> PIL.Image.Image:
        if self._size is None:
            self._size = self._fitted(frame.width, frame.height)
        see_through = frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)
        mode = "RGBA" if see_through else "RGB"
        scaled = frame.reformat(*self._size, format="rgba" if see_through else "rgb24", interpolation="AREA")
        plane = scaled.planes[0]
        image = PIL.Image.frombytes(mode, self._size, bytes(plane), "raw", mode, plane.line_size)
        if see_through:
            white = PIL.Image.new("RGB", image.size, "white")
            white.paste(image, mask=image.getchannel("A"))
            image = white
        image = enlarged(image)
        turns = round(frame.rotation / 90) % 4
        return image.transpose(_TURNS[turns - 1]) if turns else image

    def _fitted(self, width: int, height: int) -> tuple[int, int]:
        shown = width * self._aspect
        if max(shown, height) > self._aspect_limit * min(shown, height):
            raise Refused("size", round(shown), height)
        scale = min(1.0, math.sqrt(self._pixels / (shown * height)))
        return max(1, math.floor(shown * scale)), max(1, math.floor(height * scale))
