"""Loads the artwork, fonts, photographs and word lists that the world is drawn with (see assets/ATTRIBUTIONS.md).

Everything is read into memory once, before worker processes are forked: a long run survives the files' going away.
"""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFont

from training.world.artwork import Artwork
from training.world.catalog import PICTOGRAM_NAMES

FOLDER = Path(__file__).parent / "assets"
TRAIN_STYLES = ("noto", "twemoji", "fluent3d", "fluentflat")
HELD_OUT_STYLE = "openmoji"
LOADED_FONTS = 3000  # fonts in sizes; with their widths about 40 KiB each, 0.03 ms to load again
# Further styles, which training alone draws with: "color" is artwork in its own colours, "ink" lines or areas in one.
MORE_STYLES = {
    "noto-v1": "color",
    "emojione": "color",
    "fxemoji": "color",
    "streamline-emojis": "color",
    "streamline": "color",
    "icon-park": "color",
    "noto-outline": "ink",
    "fluent-emoji-high-contrast": "ink",
    "emojione-monotone": "ink",
    "tabler": "ink",
    "lucide": "ink",
    "ph": "ink",
    "game-icons": "ink",
    "iconoir": "ink",
}

ARTWORK = {}  # styles -> Artwork


def read_fonts(prefix):
    """name after `prefix` -> bytes; fonts are alike, and packed as one stream they take a fifth less than one by one."""
    with tarfile.open(FOLDER / "fonts.tar.xz") as archive:
        found = (member for member in archive if member.name.startswith(prefix))
        return {member.name.removeprefix(prefix): archive.extractfile(member).read() for member in found}


class Assets:
    """Artwork of one split.

    styles: pictogram styles to load; fonts: "train" or "heldout"; photos: "train" (licensed for it) or "none".
    split: "train" adds the further styles of training and draws everything as other artists might have; "test" leaves
    the artwork as it is, so that evaluation goes on measuring with the same pictures.
    """

    def __init__(self, styles=TRAIN_STYLES, fonts="train", photos="train", split="test"):
        self.split = split
        self.pictograms = self._pictograms(styles)
        self.artwork = self._artwork(tuple(styles)) if split == "train" else None
        self._font_data = read_fonts(fonts + "/")
        self.font_names = sorted(self._font_data)
        self._fonts, self._widths = {}, {}
        with zipfile.ZipFile(FOLDER / "photos.zip") as archive:
            chosen = sorted(name for name in archive.namelist() if name.startswith(photos + "/"))
            self.photos = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in chosen]
        self.words = {
            name: (FOLDER / f"words_{name}.txt").read_text().split() for name in ("common", "rare", "heldout")
        }
        rng = np.random.default_rng(0)
        self.noise = [self._noise(rng, channels) for channels in (1, 3, 1, 3)]

    @staticmethod
    def _noise(rng, channels):
        field = np.clip(rng.normal(0, 24, (840, 840, channels)), -120, 120).astype(np.int16)
        return np.ascontiguousarray(np.broadcast_to(field, (840, 840, 3)))

    def _pictograms(self, styles):
        """class number -> RGBA images, cropped to their visible pixels, longest side 128."""
        numbers = {name.replace(" ", "_"): i for i, name in enumerate(PICTOGRAM_NAMES)}
        out = {}
        with zipfile.ZipFile(FOLDER / "pictograms.zip") as archive:
            for entry in sorted(archive.namelist()):
                style, _, file = entry.partition("/")
                name = file.rpartition("-")[0]
                if style in styles and name in numbers:
                    image = Image.open(io.BytesIO(archive.read(entry))).convert("RGBA")
                    out.setdefault(numbers[name], []).append(image)
        return out

    def _artwork(self, styles):
        """Made once in a process: it takes several seconds and 330 MB, which forked workers share."""
        if styles not in ARTWORK:
            more = {k: self._pictograms([s for s, kind in MORE_STYLES.items() if kind == k]) for k in ("color", "ink")}
            colored = {n: images + more["color"].get(n, []) for n, images in self.pictograms.items()}
            ARTWORK[styles] = Artwork(colored, more["ink"])
        return ARTWORK[styles]

    def font(self, name, size):
        """A loaded font of that size in pixels; its name is kept on it for the width cache."""
        key = (name, size)
        if key not in self._fonts:
            if len(self._fonts) >= LOADED_FONTS:
                self._fonts.clear()
                self._widths.clear()
            self._fonts[key] = ImageFont.truetype(io.BytesIO(self._font_data[name]), size)
            self._fonts[key].key = key
        return self._fonts[key]

    def widths(self, font, text):
        """Advance of each character in pixels."""
        cache = self._widths.setdefault(font.key, {})
        for char in text:
            if char not in cache:
                cache[char] = font.getlength(char)
        return [cache[char] for char in text]
