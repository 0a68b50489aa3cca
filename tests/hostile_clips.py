"""Hostile and odd clips, built from scratch. `CLIPS` maps a file name to a function that returns its bytes."""

import io
import struct
from fractions import Fraction

import av
import numpy as np

from tests.hostile import cut


def clip(
    count: int = 60,
    *,
    rate: int = 30,
    size: tuple[int, int] = (128, 96),
    codec: str = "libx264",
    container: str = "mp4",
    first: int = 0,
    pixel_aspect: int = 1,
    coding: dict[str, str] | None = None,
    **options: str,
) -> bytes:
    """Frame number i, from `first` on, is grey of `grey_of(i)`; a red bar marks the upper edge."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, options=coding)
        stream.width, stream.height = size
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        stream.codec_context.gop_size = 12
        stream.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        for index in range(count):
            pixels = np.full((size[1], size[0], 3), grey_of(index), np.uint8)
            pixels[: size[1] // 4] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = first + index
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)
    return file.getvalue()


def grey_of(index: int) -> int:
    """Neighbours differ by more than coding blurs."""
    return 20 + index * 37 % 200


def lying_duration(seconds: int) -> bytes:
    """An MP4 whose headers claim another duration than its frames have."""
    data = bytearray(clip())
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        start = data.index(box) + 8
        timescale, position = {b"tkhd": (1000, start + 16)}.get(
            box, (struct.unpack_from(">I", data, start + 8)[0], start + 12)
        )
        struct.pack_into(">I", data, position, seconds * timescale)
    return bytes(data)


def rotated_mp4() -> bytes:
    """As phones write: stored lying down, with a matrix that turns it clockwise by 90 degrees."""
    data = bytearray(clip(10))
    position = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    struct.pack_into(">9i", data, position, 0, one, 0, -one, 0, 0, 96 * one, 0, 1 << 30)
    return bytes(data)


def endless_gif(frames: int = 100_000) -> bytes:
    """Very many frames with no time between them, in little space."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(3) + b"\xff\xff\xff"
    frame = b"!\xf9\x04\x00\x00\x00\x00\x00," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\x02\x02\x4c\x01\x00"
    return screen + frame * frames + b";"


def huge_frames() -> bytes:
    """A clip whose headers claim frames of 16000 x 16000."""
    data = bytearray(clip(2, codec="mjpeg", container="avi"))
    at = data.index(b"strf") + 8
    struct.pack_into("<ii", data, at + 4, 16000, 16000)
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 16000, 16000)
    return bytes(data)


def hls() -> bytes:
    return b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


def ffconcat() -> bytes:
    return b"ffconcat version 1.0\nfile /etc/passwd\n"


CLIPS = {
    "plain.mp4": clip,
    "plain.mov": lambda: clip(container="mov"),
    "plain.webm": lambda: clip(codec="libvpx", container="webm"),
    "vp9.webm": lambda: clip(20, codec="libvpx-vp9", container="webm", coding={"speed": "8"}),
    "plain.mkv": lambda: clip(container="matroska"),
    "live.webm": lambda: clip(codec="libvpx", container="webm", live="1"),
    "fragmented.mp4": lambda: clip(movflags="frag_keyframe+empty_moov"),
    "plain.avi": lambda: clip(codec="mpeg4", container="avi"),
    "mjpeg.avi": lambda: clip(codec="mjpeg", container="avi"),
    "late-start.mkv": lambda: clip(container="matroska", first=90),
    "animated.gif": lambda: clip(20, rate=10, codec="gif", container="gif"),
    "one-frame.mp4": lambda: clip(1),
    "tiny.mp4": lambda: clip(10, size=(16, 16)),
    "wide-pixels.mkv": lambda: clip(4, container="matroska", pixel_aspect=2),
    "rotated.mp4": rotated_mp4,
    "claims-an-hour.mp4": lambda: lying_duration(3600),
    "claims-nothing.mp4": lambda: lying_duration(0),
    "8000-frames.mp4": lambda: clip(8000, size=(32, 32), coding={"preset": "ultrafast"}),
    "11-minutes.mkv": lambda: clip(662, rate=1, size=(32, 32), container="matroska"),
    "endless.gif": endless_gif,
    "huge-frames.avi": huge_frames,
    "cut.mp4": lambda: cut(clip()),
    "cut-fragments.mp4": lambda: cut(clip(movflags="frag_keyframe+empty_moov")),
    "no-frames.mp4": lambda: clip()[: clip().index(b"mdat") - 4],
    "hls.mp4": hls,
    "hidden-hls.mp4": lambda: b"\x00\x00\x00\x14ftypisom\x00\x00\x00\x00isom" + hls(),
    "ffconcat.mp4": ffconcat,
    "ffv1.mkv": lambda: clip(4, codec="ffv1", container="matroska"),
    "text.mp4": lambda: b"not a video\n" * 100,
}
