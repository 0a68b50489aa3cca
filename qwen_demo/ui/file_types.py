"""Which names of files the page takes, by a table of its own, so that it is the same on every system.

A name only opens the door: what a file is, `media` finds in its bytes, and has the words for what it refuses. Gradio
goes by types, which browsers and Python take from tables of the system that lack `.MOV` here and `.jfif` there.
"""

from pathlib import Path

IMAGES = {
    ".png": "image/png",
    ".apng": "image/apng",
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".mpo"), "image/jpeg"),
    ".webp": "image/webp",
    ".gif": "image/gif",
    **dict.fromkeys((".bmp", ".dib"), "image/bmp"),
    **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
    **dict.fromkeys((".avif", ".avifs"), "image/avif"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "image/heic"),
}
VIDEOS = {
    **dict.fromkeys((".mp4", ".m4v", ".mp4v"), "video/mp4"),
    **dict.fromkeys((".mov", ".qt"), "video/quicktime"),
    **dict.fromkeys((".3gp", ".3gpp"), "video/3gpp"),
    **dict.fromkeys((".3g2", ".3gp2"), "video/3gpp2"),
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
}
MODELS = {
    **dict.fromkeys((".ply", ".pcd", ".las", ".laz", ".xyz", ".pts"), "application/octet-stream"),
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".obj": "model/obj",
    ".stl": "model/stl",
}
# For Gradio's `file_types`, which looks at the endings in either case. Other images and videos pass by their type.
IMAGE_FILES = ["image", *IMAGES]
DOCUMENT_FILES = [".pdf", *IMAGE_FILES]
MEDIA_FILES = ["image", "video", *IMAGES, *VIDEOS, *MODELS]


# Gradio goes by the ending of a file without a type, and has a view for those of models. Clouds of points keep theirs, and
# so are files: it would draw a PLY of points as nothing.
_UNSHOWN = ("image/tiff", "image/heic", *(kind for kind in MODELS.values() if kind.startswith("model/")))


def shown_type(name: str) -> str | None:
    """The type by which the chat shows a file; None leaves it to the ending of its name."""
    found = media_type(name)
    return None if found in _UNSHOWN else found


def media_type(name: str) -> str | None:
    """By the ending of a file's name; None for one that is not in the table."""
    return (IMAGES | VIDEOS | MODELS).get(Path(name).suffix.lower())
