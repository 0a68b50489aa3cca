"""Pictograms as other artists might have drawn them: outlines, flat and few colours, one colour, shifted colours.

For training alone.  All layers are made once, before worker processes are forked, so that they are shared; a draw only
resizes and joins them.
"""

import colorsys
import math
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

PAD = 4  # pixels around a picture, for the outer half of its outline
INK_SHARE = 0.24  # of the draws where a class has one-coloured artwork
PLAIN_SHARE = 0.55  # of the other draws; with INK_SHARE about 0.45 of all draws show artwork as it is
WHITE = (255, 255, 255)
LOOKS = {
    "flat": 45,  # dark outlines, flat fill
    "white": 12,  # dark outlines, white or pale fill
    "silhouette": 8,  # one colour with lighter inner edges
    "posterised": 10,
    "shifted": 14,  # hue, saturation, brightness
    "grey": 11,
}


@dataclass(frozen=True)
class Layers:
    """One picture of artwork in its own colours.

    image: RGBA as it is; the rest is padded by PAD on each side.  flat: RGB in few colours; body: L, what it covers;
    lines: L masks of its edges, from thin to thick.
    """

    image: Image.Image
    flat: Image.Image
    body: Image.Image
    lines: tuple


@dataclass(frozen=True)
class Ink:
    """One picture of one-coloured artwork.  ink: L, its lines and areas; body: L, these and what they enclose."""

    ink: Image.Image
    body: Image.Image


def _padded(image, fill=0):
    out = Image.new(image.mode, (image.width + 2 * PAD, image.height + 2 * PAD), fill)
    out.paste(image, (PAD, PAD))
    return out


def layers(image):
    """Layers of an RGBA picture of about 128 pixels."""
    alpha = _padded(image.getchannel("A"))
    solid = alpha.point(lambda v: 255 if v > 100 else 0)
    color = Image.new("RGB", alpha.size, _mean_color(image))
    color.paste(image.convert("RGB"), (PAD, PAD), image.getchannel("A"))
    smooth = color.filter(ImageFilter.MedianFilter(3))
    palette = smooth.reduce(2).quantize(10, Image.Quantize.MEDIANCUT)
    flat = smooth.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
    steps = [ImageChops.difference(flat, ImageChops.offset(flat, *by)) for by in ((1, 0), (0, 1))]
    inner = _strongest(ImageChops.lighter(*steps)).point(lambda v: 255 if v > 42 else 0)
    if sum(_mean_color(image)) > 240:  # eyes and the like, which few colours may swallow, are part of the lines
        inner = ImageChops.lighter(inner, color.convert("L").point(lambda v: 255 if v < 62 else 0))
    inner = ImageChops.darker(inner, solid)
    outer = ImageChops.subtract(solid.filter(ImageFilter.MaxFilter(3)), solid.filter(ImageFilter.MinFilter(3)))
    thin = ImageChops.lighter(inner.filter(ImageFilter.MaxFilter(3)), outer)
    thick = ImageChops.lighter(thin, outer.filter(ImageFilter.MaxFilter(5)))
    heavy = thin.filter(ImageFilter.MaxFilter(3))
    lines = tuple(line.filter(ImageFilter.BoxBlur(0.5)) for line in (thin, thick, heavy))
    return Layers(image, flat, alpha, lines)


def _mean_color(image):
    small = image.resize((1, 1), Image.BOX)
    return small.getpixel((0, 0))[:3]


def _strongest(image):
    """L: the largest channel of each pixel."""
    red, green, blue = image.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def ink(image):
    """Ink of an RGBA picture whose alpha is its drawing.  Holes are found on a quarter of the pixels."""
    alpha = _padded(image.getchannel("A"))
    small = alpha.resize((alpha.width // 2, alpha.height // 2), Image.BOX).point(lambda v: 255 if v > 60 else 0)
    free = ImageChops.invert(small)
    outside = Image.new("L", small.size, 255)
    outside.paste(0, (1, 1, small.width - 1, small.height - 1))
    outside = ImageChops.darker(outside, free)
    while True:
        grown = ImageChops.darker(outside.filter(ImageFilter.MaxFilter(3)), free)
        if grown == outside:
            break
        outside = grown
    body = ImageChops.invert(outside.resize(alpha.size, Image.BILINEAR)).point(lambda v: 255 if v > 127 else 0)
    return Ink(alpha, ImageChops.lighter(alpha, body))


class Artwork:
    """Everything training draws pictograms with.

    colored, inked: class number -> RGBA pictures of artwork in its own colours and in one.
    """

    def __init__(self, colored, inked):
        self.colored = {number: [layers(i) for i in images] for number, images in colored.items()}
        self.inked = {number: [ink(i) for i in images] for number, images in inked.items()}

    def draw(self, rng, number, side, ground=None):
        """RGBA picture of a class, longest side about `side` pixels.

        ground: mean colour of what is behind it, or None if that is not known or changes.
        """
        inked = self.inked.get(number)
        if inked and rng.random() < INK_SHARE:
            return _draw_ink(rng, rng.choice(inked), side, ground)
        chosen = rng.choice(self.colored[number])
        if rng.random() < PLAIN_SHARE:
            return _sized(chosen.image, side)
        look = rng.choices(list(LOOKS), LOOKS.values())[0]
        return _bent(rng, _restyled(rng, chosen, look, side))


def _sized(image, side):
    scale = side / max(image.size)
    size = [max(6, int(v * scale)) for v in image.size]
    return image.resize(size, Image.BILINEAR, reducing_gap=2.0)


def _tint(rng, light, saturation=1.0):
    """A random colour whose lightness is drawn from the two bounds `light`."""
    rgb = colorsys.hls_to_rgb(rng.random(), rng.uniform(*light), rng.uniform(0, saturation))
    return tuple(int(255 * v) for v in rgb)


def _dark(rng):
    return (rng.randint(0, 30),) * 3 if rng.random() < 0.7 else _tint(rng, (0.08, 0.28))


def _joined(fill, mask):
    fill.putalpha(mask)
    return fill


def _draw_ink(rng, drawing, side, ground):
    mask = _sized(drawing.ink, side)
    if ground is not None and rng.random() < 0.45:
        dark = sum(ground) > 380
        color = _dark(rng) if dark else _tint(rng, (0.85, 1.0))
        return _bent(rng, _joined(Image.new("RGB", mask.size, color), mask))
    chance = rng.random()
    if chance < 0.4:
        below, line = WHITE, _dark(rng)
    elif chance < 0.8:
        below, line = _tint(rng, (0.5, 0.85)), _dark(rng)
    else:
        below, line = _tint(rng, (0.05, 0.35)), _tint(rng, (0.8, 1.0))
    fill = Image.new("RGB", mask.size, below)
    fill.paste(line, mask=mask)
    return _bent(rng, _joined(fill, ImageChops.lighter(mask, _sized(drawing.body, side))))


def _restyled(rng, chosen, look, side):
    if look in ("shifted", "grey"):
        image = _sized(chosen.image, side)
        shades = image.convert("RGB")
        shades = shades.convert("L").convert("RGB") if look == "grey" else shades.convert("RGB", _shift(rng))
        return _joined(shades, image.getchannel("A"))
    body = _sized(chosen.body, side)
    if look == "posterised":
        fill = _sized(chosen.flat, side)
        return _joined(fill.convert("RGB", _shift(rng)) if rng.random() < 0.5 else fill, body)
    lines = _sized(rng.choices(chosen.lines, (5, 3, 1))[0], side)
    if look == "silhouette":
        below, above = _tint(rng, (0.05, 0.45)), _tint(rng, (0.75, 1.0))
        fill = Image.new("RGB", body.size, below)
        fill.paste(above, mask=lines)
        return _joined(fill, body)
    fill = _sized(chosen.flat, side)
    if look == "white":
        pale = WHITE if rng.random() < 0.6 else _tint(rng, (0.8, 0.95))
        fill = Image.blend(fill, Image.new("RGB", fill.size, pale), rng.choice([0.8, 1.0, 1.0]))
    elif rng.random() < 0.5:
        fill = fill.convert("RGB", _shift(rng))
    fill.paste(_dark(rng), mask=lines)
    return _joined(fill, ImageChops.lighter(body, lines))


def _shift(rng):
    """Matrix for Image.convert: turned hue, own saturation and brightness, applied in the YIQ space."""
    turn, gain, light = rng.gauss(0, 0.35), rng.uniform(0.35, 1.6), rng.uniform(0.8, 1.25)
    lift = rng.uniform(-20, 25)
    cos, sin = gain * math.cos(turn), gain * math.sin(turn)
    to_iq = ((0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
    matrix = []
    for from_i, from_q in ((0.956, 0.621), (-0.272, -0.647), (-1.106, 1.703)):
        along, across = from_i * cos + from_q * sin, from_q * cos - from_i * sin
        luma = (0.299, 0.587, 0.114)
        matrix += [light * (y + along * i + across * q) for y, i, q in zip(luma, *to_iq, strict=True)] + [lift]
    return matrix


def _bent(rng, image):
    """At times sheared, stretched, blurred or sharpened a little."""
    chance = rng.random()
    if chance < 0.2:
        slant = rng.uniform(-0.17, 0.17)
        width = image.width + int(abs(slant) * image.height)
        start = -max(0, slant) * image.height
        image = image.transform((width, image.height), Image.AFFINE, (1, slant, start, 0, 1, 0), Image.BILINEAR)
    elif chance < 0.35:
        stretch = rng.uniform(0.84, 1.0)
        size = (
            (image.width, int(image.height * stretch)) if chance < 0.27 else (int(image.width * stretch), image.height)
        )
        image = image.resize([max(6, v) for v in size], Image.BILINEAR)
    elif chance < 0.42:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 0.8)))
    elif chance < 0.47:
        image = image.filter(ImageFilter.SHARPEN)
    return image
