"""Drawing: picture sizes, backgrounds, shapes, pictograms, text with the place of each character, camera effects."""

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.world import lettering
from training.world.catalog import BACKGROUNDS, COLORS, SHAPES

CELL = 28  # pixels of one merged picture token
MIN_PIXELS, MAX_PIXELS = 224 * 224, 448 * 448


def clip_color(color):
    return tuple(max(0, min(255, int(v))) for v in color)


def contrast(a, b):
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))


def shape_mask(name, side=256):
    """White shape on black, cropped to its bounding box, mode L."""
    image = Image.new("L", (side, side), 0)
    draw, end, mid = ImageDraw.Draw(image), side - 1, side / 2

    def polygon(corners, rotation=-90.0, inner=None):
        points, count = [], corners * (2 if inner else 1)
        for i in range(count):
            radius = mid - 1 if not inner or i % 2 == 0 else inner
            angle = math.radians(rotation + i * 360 / count)
            points.append((mid + radius * math.cos(angle), mid + radius * math.sin(angle)))
        draw.polygon(points, fill=255)

    if name in ("circle", "oval"):
        draw.ellipse((0, 0, end, end), fill=255)
    elif name in ("square", "rectangle"):
        draw.rectangle((0, 0, end, end), fill=255)
    elif name == "triangle":
        draw.polygon([(mid, 0), (end, end * 0.9), (0, end * 0.9)], fill=255)
    elif name == "star":
        polygon(5, inner=mid * 0.42)
    elif name == "diamond":
        draw.polygon([(mid, 0), (end * 0.86, mid), (mid, end), (end * 0.14, mid)], fill=255)
    elif name == "hexagon":
        polygon(6, rotation=0)
    elif name == "heart":
        t = np.linspace(0, 2 * np.pi, 200)
        x = 16 * np.sin(t) ** 3
        y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        draw.polygon(
            list(
                zip(((x - x.min()) / np.ptp(x) * end).tolist(), ((y - y.min()) / np.ptp(y) * end).tolist(), strict=True)
            ),
            fill=255,
        )
    elif name == "cross":
        draw.rectangle((mid - side * 0.17, 0, mid + side * 0.17, end), fill=255)
        draw.rectangle((0, mid - side * 0.17, end, mid + side * 0.17), fill=255)
    elif name == "ring":
        draw.ellipse((0, 0, end, end), fill=255)
        draw.ellipse((side * 0.24, side * 0.24, side * 0.76, side * 0.76), fill=0)
    elif name == "arrow":
        draw.rectangle((0, side * 0.36, side * 0.6, side * 0.64), fill=255)
        draw.polygon([(side * 0.55, side * 0.12), (end, mid), (side * 0.55, side * 0.88)], fill=255)
    return image.crop(image.getbbox())


MASKS = {name: shape_mask(name) for name in SHAPES}


class Brush:
    """Draws with one random stream.  rng: random.Random, noise: numpy Generator, assets: training.assets.Assets."""

    def __init__(self, rng, noise, assets):
        self.rng, self.noise, self.assets = rng, noise, assets

    # ---- sizes and colours
    def size(self, low=MIN_PIXELS, high=140_000, large_share=0.12):
        """(width, height) in pixels, multiples of 28, any common aspect ratio."""
        rng = self.rng
        while True:
            if rng.random() < large_share:
                area = rng.uniform(high, MAX_PIXELS)
            else:
                area = math.exp(rng.uniform(math.log(low), math.log(high)))
            chance = rng.random()
            if chance < 0.3:
                aspect = 1.0
            elif chance < 0.93:
                aspect = math.exp(rng.uniform(-0.7, 0.7))
            else:
                aspect = math.exp(rng.choice([-1, 1]) * rng.uniform(0.7, 1.0))
            width, height = (max(4, round(math.sqrt(area * a) / CELL)) * CELL for a in (aspect, 1 / aspect))
            if MIN_PIXELS <= width * height <= MAX_PIXELS:
                return width, height

    def small_size(self):
        return self.rng.choice([(224, 224), (224, 252), (252, 224), (252, 252), (280, 196), (196, 280), (280, 224)])

    def jitter(self, color, amount=12):
        return clip_color(v + self.rng.randint(-amount, amount) for v in color)

    def text_color(self, background):
        """(name, rgb) that can be read on that background."""
        rng, light = self.rng, sum(background) > 360
        if rng.random() >= 0.5:
            for _ in range(12):
                name = rng.choice(list(COLORS))
                color = self.jitter(COLORS[name], 10)
                if abs(sum(color) - sum(background)) > 250:
                    return name, color
        return ("black", (15, 15, 15)) if light else ("white", (250, 250, 250))

    # ---- backgrounds
    def background(self, width, height, plain=0.6):
        """(image, spoken name, mean colour); spoken name is a key of BACKGROUNDS, "gradient", "patterned" or "noisy"."""
        rng, chance = self.rng, self.rng.random()
        if chance < plain:
            name = "white" if rng.random() < 0.5 else rng.choice(list(BACKGROUNDS))
            color = BACKGROUNDS[name] if name == "white" and rng.random() < 0.8 else self.jitter(BACKGROUNDS[name], 7)
            return Image.new("RGB", (width, height), color), name, color
        base = self.jitter(rng.choice(list(BACKGROUNDS.values())), 10)
        share = (chance - plain) / (1 - plain)
        if share < 0.4:
            return self._gradient(width, height)
        if share < 0.62:
            cells = rng.choice([3, 4, 6, 9])
            spread = self.noise.integers(-60, 61, (cells, cells, 3 if rng.random() < 0.5 else 1))
            field = np.broadcast_to(np.clip(np.array(base) + spread, 0, 255).astype(np.uint8), (cells, cells, 3))
            scale = rng.choice([Image.BICUBIC, Image.NEAREST])
            return Image.fromarray(np.ascontiguousarray(field)).resize((width, height), scale), "patterned", base
        if share < 0.8:
            return self._stripes(width, height, base), "patterned", base
        return self.add_noise(Image.new("RGB", (width, height), base), rng.uniform(0.6, 1.5)), "noisy", base

    def _gradient(self, width, height):
        rng = self.rng
        light = [c for c in BACKGROUNDS.values() if sum(c) > 430]  # a colour must stand out from both ends
        first, last = (self.jitter(rng.choice(light), 40) for _ in range(2))
        if contrast(first, last) < 100:
            return Image.new("RGB", (width, height), BACKGROUNDS["white"]), "white", BACKGROUNDS["white"]
        middle = clip_color((a + b) / 2 for a, b in zip(first, last, strict=True))
        image = Image.new("RGB", (2, 2))
        image.putdata(
            rng.choice([[first, last, first, last], [first, first, last, last], [first, middle, middle, last]])
        )
        return image.resize((width, height), Image.BILINEAR), "gradient", middle

    def _stripes(self, width, height, base):
        rng = self.rng
        image = Image.new("RGB", (width, height), base)
        draw = ImageDraw.Draw(image)
        line = clip_color(v + rng.choice([-40, 40]) for v in base)
        step, direction = rng.randint(10, 40), rng.randrange(3)
        for i in range(0, width + height, step):
            ends = [(i, 0, i, height), (0, i, width, i), (i, 0, i - height, height)][direction]
            draw.line(ends, fill=line, width=max(1, step // 4))
        return image

    # ---- things
    def sprite(self, thing, side, ground=None):
        """(fill, mask): what to paste for a thing whose longest side is about `side` pixels.

        fill is an RGB image for pictograms and a colour for shapes; mask is cropped to the visible pixels.
        ground: mean colour behind the thing, where it is known: artwork of one colour stands out from it.
        """
        return self._shape_sprite(thing, side) if thing.kind == "shape" else self._pictogram_sprite(thing, side, ground)

    def _shape_sprite(self, thing, side):
        rng, mask = self.rng, MASKS[thing.name]
        if thing.name in ("rectangle", "oval"):
            short = int(side * rng.uniform(0.42, 0.66))
            size = (side, short) if rng.random() < 0.65 else (short, side)
        else:
            size = tuple(int(side * v / max(mask.size)) for v in mask.size)
        mask = mask.resize((max(6, size[0]), max(6, size[1])), Image.BILINEAR, reducing_gap=2.0)
        if thing.name == "arrow":
            mask = mask.rotate(rng.choice([0, 90, 180, 270]), expand=True)
        elif thing.name not in ("circle", "oval", "ring") and rng.random() < 0.25:
            limit = 10 if thing.name in ("square", "diamond", "rectangle", "cross") else 22
            mask = mask.rotate(rng.uniform(-limit, limit), resample=Image.BILINEAR, expand=True)
        return thing.rgb, mask.crop(mask.getbbox())

    def _pictogram_sprite(self, thing, side, ground):
        rng = self.rng
        if self.assets.artwork:
            image = self.assets.artwork.draw(rng, thing.number, side, ground)
        else:
            image = rng.choice(self.assets.pictograms[thing.number])
            scale = side / max(image.size)
            size = (max(6, int(image.width * scale)), max(6, int(image.height * scale)))
            image = image.resize(size, Image.BILINEAR, reducing_gap=2.0)
        if rng.random() < 0.3 and thing.name != "thumbs up":
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        if rng.random() < 0.3:
            image = image.rotate(rng.uniform(-16, 16), resample=Image.BILINEAR, expand=True)
        alpha = image.getchannel("A")
        box = alpha.point(lambda v: 255 if v > 24 else 0).getbbox() or alpha.getbbox()
        image, alpha = image.crop(box), alpha.crop(box)
        image = image.convert("RGB")
        if rng.random() < 0.35:
            image = image.point(self._tone(0.75, 1.2, 18))
        return image, alpha

    def _tone(self, low, high, offset):
        """A lookup table for Image.point: own gain and offset for each channel."""
        table = []
        for _ in range(3):
            gain, shift = self.rng.uniform(low, high), self.rng.uniform(-offset, offset)
            table += [max(0, min(255, int(v * gain + shift))) for v in range(256)]
        return table

    # ---- text
    def write(self, draw, at, text, font, color, anchor="la"):
        """Draws text and returns [(x, y, character)], the middle of each character in pixels.

        font: of Pillow, or a StyledFont.
        """
        styled = isinstance(font, lettering.StyledFont)
        widths = self.assets.widths(font.font if styled else font, text)
        ascent, descent = font.getmetrics()
        up = font.size * lettering.MIDDLE
        y = {"a": at[1] + ascent - up, "m": at[1], "b": at[1] - descent - up, "s": at[1] - up}[anchor[1]]
        across = {"l": 0, "m": 0.5, "r": 1}[anchor[0]]
        if styled:
            return lettering.write(draw, (at[0], y), text, font, color, widths, across)
        draw.text(at, text, font=font, fill=color, anchor=anchor)
        x = at[0] - across * sum(widths)
        letters = []
        for char, width in zip(text, widths, strict=True):
            if char != " ":
                letters.append((x + width / 2, y, char))
            x += width
        return letters

    # ---- effects
    def add_noise(self, image, strength):
        field = self.rng.choice(self.assets.noise)
        width, height = image.size
        top, left = self.rng.randint(0, 840 - height), self.rng.randint(0, 840 - width)
        out = np.asarray(image).astype(np.int16)
        out += (field[top : top + height, left : left + width] * np.float32(strength)).astype(np.int16)
        return Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))

    def camera(self, image):
        """What a copy of a picture goes through: resampling, blur, JPEG, noise, exposure; most pictures stay clean."""
        rng, chance = self.rng, self.rng.random()
        if chance < 0.07:
            scale = rng.uniform(0.6, 0.9)
            small = image.resize((int(image.width * scale), int(image.height * scale)), Image.BILINEAR)
            image = small.resize(image.size, Image.BICUBIC)
        elif chance < 0.12:
            image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 0.8)))
        elif chance < 0.19:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=rng.randint(40, 90))
            image = Image.open(buffer).convert("RGB")
        elif chance < 0.25:
            image = self.add_noise(image, rng.uniform(0.15, 0.5))
        if rng.random() < 0.1:
            gain, shift = rng.uniform(0.85, 1.1), rng.uniform(-12, 12)
            image = image.point([max(0, min(255, int(v * gain + shift))) for v in range(256)] * 3)
        return image
