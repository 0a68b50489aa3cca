"""Files on the disk, whole or not at all, and the names they may have in a collection."""

import os
import shutil
import threading
from pathlib import Path

from qwen_demo.errors import DiskFull, InvalidRequest

MOST_NAME_CHARACTERS = 240
# Of the disk, for whoever else writes there, and so that what is to be removed can be: that is written down, too.
RESERVE_BYTES = 64 << 20


def check_room(folder: Path, size: int) -> None:
    """Raises `DiskFull` where `size` more bytes under `folder`, which need not be there yet, would leave no reserve."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    if shutil.disk_usage(there).free < RESERVE_BYTES + size:
        raise DiskFull


def write_whole(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def file_name(text: str) -> str:
    """A name as it is kept: of a path, its parts without what leads outside. Raises `InvalidRequest`."""
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    name = "".join(c if c.isprintable() and c not in "[]" else "_" for c in "/".join(parts))
    if not name or len(name) > MOST_NAME_CHARACTERS:
        raise InvalidRequest(f"A file needs a name of 1 to {MOST_NAME_CHARACTERS} characters.", field="file")
    return name
