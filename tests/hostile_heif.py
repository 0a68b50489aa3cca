"""HEIC files for tests, box by box (ISO/IEC 23008-12), around images that an H.265 encoder makes."""

import functools
import io
import struct

import av
from PIL import Image


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


@functools.cache
def _coded(pixels: bytes, size: tuple[int, int], layout: str) -> tuple[bytes, bytes]:
    """Configuration (hvcC) and samples of one key frame."""
    file = io.BytesIO()
    options = {"preset": "ultrafast", "x265-params": "log-level=none:crf=4:bframes=0:frame-threads=1:pools=none"}
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx265", rate=1, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, layout
        stream.codec_tag = "hvc1"
        frame = av.VideoFrame.from_image(Image.frombytes("RGB", size, pixels))
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    data = file.getvalue()
    at = data.index(b"hvcC") - 4
    configuration = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    with av.open(io.BytesIO(data)) as source:
        samples = b"".join(bytes(packet) for packet in source.demux(video=0) if packet.size)
    return configuration, samples


def heic(
    image: Image.Image,
    *,
    brand: bytes = b"heic",
    turns: int = 0,
    columns: int = 1,
    stated: tuple[int, int] = (0, 0),
    layout: str = "yuv420p",
) -> bytes:
    """A still image.

    Args:
        turns: quarters against the clock that whoever shows it makes.
        columns: it is a grid of so many tiles, as phones write it.
        stated: size that the file says, if it lies.
        layout: FFmpeg's name for how samples lie.
    """
    width = image.width // columns
    tiles = [image.crop((n * width, 0, (n + 1) * width, image.height)) for n in range(columns)]
    coded = [_coded(tile.tobytes(), tile.size, layout) for tile in tiles]
    payloads = [samples for _, samples in coded]
    items = [(number, b"hvc1") for number in range(1, columns + 1)]
    shown = stated if any(stated) else image.size
    properties = [coded[0][0], full(b"ispe", 0, 0, struct.pack(">II", *(tiles[0].size if columns > 1 else shown)))]
    of_items = [(number, (0x81, 2)) for number, _ in items]
    references = b""
    if columns > 1:
        items.append((columns + 1, b"grid"))
        payloads.append(struct.pack(">BBBBHH", 0, 0, 0, columns - 1, *shown))
        properties.append(full(b"ispe", 0, 0, struct.pack(">II", *shown)))
        of_items.append((columns + 1, (3,)))
        numbers = range(1, columns + 1)
        links = struct.pack(f">HH{columns}H", columns + 1, columns, *numbers)
        references = full(b"iref", 0, 0, box(b"dimg", links))
    if turns:
        properties.append(box(b"irot", bytes([turns])))
        of_items[-1] = (of_items[-1][0], (*of_items[-1][1], 0x80 | len(properties)))
    return _file(brand, items, payloads, properties, of_items, references)


def _file(brand, items, payloads, properties, of_items, references) -> bytes:
    ftyp = box(b"ftyp", brand, bytes(4), b"mif1", b"heic")
    entries = [full(b"infe", 2, 0, struct.pack(">HH", number, 0), kind, b"\0") for number, kind in items]
    links = b"".join(struct.pack(f">HB{len(of)}B", number, len(of), *of) for number, of in of_items)

    def meta(start: int) -> bytes:
        places = b""
        for (number, _), payload in zip(items, payloads, strict=True):
            places += struct.pack(">HHHII", number, 0, 1, start, len(payload))
            start += len(payload)
        return full(
            b"meta",
            0,
            0,
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, 0, struct.pack(">H", items[-1][0])),
            full(b"iloc", 0, 0, b"\x44\x00", struct.pack(">H", len(items)), places),
            full(b"iinf", 0, 0, struct.pack(">H", len(items)), *entries),
            references,
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", 0, 0, struct.pack(">I", len(of_items)), links),
            ),
        )

    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + box(b"mdat", *payloads)
