"""AVIF without Pillow's reading of its EXIF directory, which has no bound and runs on opening.

Nothing is lost: libavif itself tells the orientation. Leans on a private module of the pinned
Pillow, so the tests open real files.
"""

from PIL import AvifImagePlugin, features

AVAILABLE = features.check("avif") is True  # whether Pillow was built with libavif
if AVAILABLE:
    from PIL import _avif


class AvifFile(AvifImagePlugin.AvifImageFile):
    """One AVIF image.

    Attributes:
        orientation: EXIF value, 1 to 8, to be applied by whoever reads the pixels.
    """

    orientation: int

    def _open(self) -> None:
        assert self.fp is not None
        self._decoder = _avif.AvifDecoder(self.fp.read(), "auto", 1)
        self._size, self.n_frames, self._mode, _, _, self.orientation, _ = self._decoder.get_info()
        self.is_animated = False
        self.seek(0)
