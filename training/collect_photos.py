"""Adds photographs from panoramas under CC0 to assets/photos.zip.

    npm pack @pmndrs/assets; tar xzf pmndrs-assets-*.tgz        (its hdri/ folder)
    apt-get download blender-data; dpkg-deb -x blender-data_*.deb . (its datafiles/studiolights/world/ folder)
    pip install OpenEXR
    python -m training.collect_photos HDRI_FOLDER WORLD_FOLDER

The middle of each panorama is tone-mapped to a picture such as a camera with a wide lens takes; training crops from it.
"""

import argparse
import base64
import io
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from training.assets import FOLDER

BAND = (0.14, 0.84)  # share of a panorama's height that is kept: above and below it is stretched too much
QUALITY = 60
MIDDLE_GREY, WHITE_POINT = 0.22, 9.0


def radiance(data):
    """(height, width, 3) float32 of an OpenEXR file's bytes."""
    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(data)
        file.flush()
        channels = OpenEXR.File(file.name).channels()
        for name in ("RGB", "RGBA"):
            if name in channels:
                return np.array(channels[name].pixels[..., :3], np.float32)
        return np.stack([np.array(channels[c].pixels, np.float32) for c in "RGB"], -1)


def tone_mapped(light):
    """RGB picture: exposed for its geometric mean, highlights compressed."""
    light = np.clip(np.nan_to_num(light), 0, 1e4)  # the sun may be infinite
    light *= MIDDLE_GREY / np.exp(np.log(light.mean(-1) + 1e-4).mean())
    light = light * (1 + light / WHITE_POINT) / (1 + light)
    return Image.fromarray((np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def panoramas(hdri, world):
    """(name, bytes of an OpenEXR file): of the npm package, where they are base64 in modules, then of Blender."""
    for path in sorted(hdri.glob("*.exr.js")):
        yield f"pmndrs_{path.name[:-7]}", base64.b64decode(re.search(r"base64,([\w+/=]+)", path.read_text()).group(1))
    for path in sorted(world.glob("*.exr")):
        yield f"blender_{path.stem}", path.read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hdri", type=Path)
    parser.add_argument("world", type=Path)
    args = parser.parse_args()
    with zipfile.ZipFile(FOLDER / "photos.zip", "a") as archive:
        present = set(archive.namelist())
        for name, data in panoramas(args.hdri, args.world):
            image = tone_mapped(radiance(data))
            image = image.crop((0, int(BAND[0] * image.height), image.width, int(BAND[1] * image.height)))
            image = image.resize((1000, 1000 * image.height // image.width), Image.LANCZOS)
            out = io.BytesIO()
            image.save(out, "WEBP", quality=QUALITY, method=6)
            if f"train/{name}.webp" not in present:
                archive.writestr(zipfile.ZipInfo(f"train/{name}.webp", (2020, 1, 1, 0, 0, 0)), out.getvalue())


if __name__ == "__main__":
    main()
