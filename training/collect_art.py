"""Builds the additional part of assets/pictograms.zip from published packages of free artwork.

    npm pack @iconify-json/noto-v1 @iconify-json/tabler …   (all of ICONIFY, and emojione@2.2.7, @fontsource/noto-emoji)
    apt-get install librsvg2-bin
    python -m training.collect_art FOLDER_OF_TGZ_FILES

The five styles that the archive held before are copied as they are, since evaluation draws with them; the styles of
training.assets.MORE_STYLES are made anew: each picture is drawn from its vectors, cropped to its visible pixels and
scaled to 128 pixels on the longest side, 96 where it has but one colour.  OpenMoji (CC BY-SA) is the held-out style:
nothing here reads it.
"""

import argparse
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from training.art_names import EMOJI_NAMES, ICON_NAMES, REFUSED, STREAMLINE_NAMES
from training.assets import FOLDER, HELD_OUT_STYLE, MORE_STYLES, TRAIN_STYLES
from training.world.catalog import PICTOGRAMS

SIDE, INK_SIDE = 128, 96
DRAWN = 192  # pixels at which vectors are drawn, before cropping
QUALITY = 40

# Sets whose icons are named like the emoji of the Unicode tables; all others are found through ICON_NAMES.
EMOJI_SETS = ("noto-v1", "fluent-emoji-high-contrast", "emojione-monotone", "streamline-emojis", "fxemoji")
# icon set -> patterns of its names; the first that exists of each pattern is taken
PATTERNS = {
    "tabler": ("{}",),
    "lucide": ("{}",),
    "ph": ("{}",),
    "icon-park": ("{}",),
    "game-icons": ("{}",),
    "iconoir": ("{}",),
}
STREAMLINE = (
    "streamline-plump-color",
    "streamline-kameleon-color",
    "streamline-freehand-color",
    "streamline-ultimate-color",
)
ICONIFY = (*EMOJI_SETS, *PATTERNS, *STREAMLINE)


def table(text):
    """class -> names."""
    rows = (line.split(":") for line in text.strip().splitlines())
    return {name: names.split() for name, names in rows}


def code(glyph):
    return "-".join(f"{ord(c):x}" for c in glyph if c != "\ufe0f")


class IconSet:
    """One package of the Iconify collection.  archive: its .tgz file."""

    def __init__(self, archive):
        with tarfile.open(archive) as tar:
            data, chars, info = (json.load(tar.extractfile(f"package/{n}.json")) for n in ("icons", "chars", "info"))
        if info["license"]["spdx"] not in ("MIT", "ISC", "Apache-2.0", "CC-BY-4.0", "CC-BY-3.0"):
            raise ValueError(f"{archive}: its licence is {info['license']}, which this archive does not take")
        self.data, self.chars = data, chars

    def svg(self, name):
        """The icon as an SVG document, or None."""
        icon = self.data["icons"].get(name)
        if icon is None:
            return None
        box = [icon.get(k, self.data.get(k, d)) for k, d in (("left", 0), ("top", 0), ("width", 16), ("height", 16))]
        view = " ".join(map(str, box))
        return f'<svg xmlns="http://www.w3.org/2000/svg" color="black" viewBox="{view}">{icon["body"]}</svg>'


def rasterise(svg):
    """RGBA image of an SVG document, cropped and scaled as in the archive."""
    done = subprocess.run(
        ["rsvg-convert", "-w", str(DRAWN), "-h", str(DRAWN), "-a"], input=svg.encode(), capture_output=True, check=True
    )
    return fitted(Image.open(io.BytesIO(done.stdout)).convert("RGBA"))


def fitted(image):
    box = image.getchannel("A").point(lambda v: 255 if v > 24 else 0).getbbox()
    image = image.crop(box)
    scale = SIDE / max(image.size)
    return image.resize([max(1, round(v * scale)) for v in image.size], Image.LANCZOS)


def encoded(image, colored):
    """WebP bytes.  Of black artwork only the coverage is kept, in 8 steps and a smaller size."""
    if not colored:
        image.thumbnail((INK_SIDE, INK_SIDE), Image.LANCZOS)
        alpha = image.getchannel("A").point(lambda v: round(v * 7 / 255) * 255 // 7)
        image = Image.merge("RGBA", [Image.new("L", image.size)] * 3 + [alpha])
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, alpha_quality=QUALITY if colored else 100, method=6)
    return out.getvalue()


def emoji_pictures(icons, spoken):
    """(class, name, SVG document) of a set named like the Unicode tables.  spoken: code -> name in those tables."""
    other = table(EMOJI_NAMES)
    for glyphs, name, _ in PICTOGRAMS:
        known = [spoken[code(g)] for g in glyphs if code(g) in spoken]
        candidates = [n for s in known for n in (s, s.replace("-", ""))] + other.get(name, [])
        for n in dict.fromkeys(candidates):
            if icons.svg(n):
                yield name, n, icons.svg(n)


def icon_pictures(icons, names, patterns):
    """(class, name, SVG document): of each pattern the first name that the set has."""
    for name, candidates in table(names).items():
        for pattern in patterns:
            found = [n for n in map(pattern.format, candidates) if icons.svg(n)]
            if found:
                yield name, found[0], icons.svg(found[0])


def emojione_pictures(archive):
    """(class, code, SVG document) of EmojiOne 2.2.7, the last version under CC BY 4.0."""
    with tarfile.open(archive) as tar:
        files = {
            Path(m.name).stem.lower(): m
            for m in tar.getmembers()
            if m.name.startswith("package/assets/svg/") and m.name.endswith(".svg")
        }
        for glyphs, name, _ in PICTOGRAMS:
            for glyph in glyphs:
                if code(glyph) in files:
                    yield name, code(glyph), tar.extractfile(files[code(glyph)]).read().decode()


def font_pictures(archive):
    """(class, code, image) of Noto Emoji, the outline font, in its thin weight."""
    with tarfile.open(archive) as tar:
        names = [n for n in tar.getnames() if n.endswith("300-normal.woff") and "emoji-emoji" not in n]
        files = {n: tar.extractfile(n).read() for n in sorted(names)}
    for data in files.values():
        font = ImageFont.truetype(io.BytesIO(data), DRAWN)
        absent = bytes(font.getmask("\uffff"))
        for glyphs, name, _ in PICTOGRAMS:
            for glyph in glyphs:
                if bytes(font.getmask(glyph[0])) != absent:
                    image = Image.new("RGBA", (2 * DRAWN, 2 * DRAWN))
                    ImageDraw.Draw(image).text((DRAWN // 2, DRAWN // 2), glyph[0], font=font, fill=(0, 0, 0, 255))
                    yield name, code(glyph), fitted(image)


def pictures(folder):
    """(style, class, name in its set, RGBA image) of all packages in the folder."""
    archives = {s: next(folder.glob(f"iconify-json-{s}-[0-9]*.tgz")) for s in ICONIFY}
    sets = {s: IconSet(archive) for s, archive in archives.items()}
    spoken = sets["fluent-emoji-high-contrast"].chars
    documents = [(s, emoji_pictures(sets[s], spoken)) for s in EMOJI_SETS]
    documents += [(s, icon_pictures(sets[s], ICON_NAMES, patterns)) for s, patterns in PATTERNS.items()]
    documents += [("streamline", icon_pictures(sets[s], STREAMLINE_NAMES, ("{}",))) for s in STREAMLINE]
    documents.append(("emojione", emojione_pictures(next(folder.glob("emojione-2.2.7.tgz")))))
    for style, found in documents:
        for name, label, svg in found:
            if f"{style}/{label}" not in REFUSED:
                yield style, name, label, rasterise(svg)
    for name, label, image in font_pictures(next(folder.glob("fontsource-noto-emoji-*.tgz"))):
        if f"noto-outline/{label}" not in REFUSED:
            yield "noto-outline", name, label, image


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, help="folder of the downloaded .tgz files")
    args = parser.parse_args()
    target = FOLDER / "pictograms.zip"
    fresh, count, labels = target.with_suffix(".new"), {}, {}
    with zipfile.ZipFile(target) as old, zipfile.ZipFile(fresh, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            if entry.filename.split("/")[0] in (*TRAIN_STYLES, HELD_OUT_STYLE):
                new.writestr(entry, old.read(entry))
        for style, name, label, image in pictures(args.packages):
            stem = f"{style}/{name.replace(' ', '_')}"
            count[stem] = count.get(stem, -1) + 1
            entry = f"{stem}-{count[stem]}.webp"
            labels[entry] = label
            new.writestr(zipfile.ZipInfo(entry, (2020, 1, 1, 0, 0, 0)), encoded(image, MORE_STYLES[style] == "color"))
    shutil.move(fresh, target)
    for style in MORE_STYLES:
        print(style, sum(e.startswith(style + "/") for e in labels))
    return labels


if __name__ == "__main__":
    main()
