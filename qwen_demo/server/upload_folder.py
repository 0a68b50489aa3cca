"""The folder of uploads: private, gone at the end, and if the program was killed, gone at the next start.

A living program holds a lock on a file in its folder, which the kernel lets go of however the program ends. A process
id would not tell: others get it again, and containers that share a folder count for themselves.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path

from qwen_demo.errors import SettingsError
from qwen_demo.settings import Settings, apply_environment, page_environment

log = logging.getLogger(__name__)

PREFIX = "qwen-demo-"
LOCK = ".in-use"


class UploadFolder:
    """`--upload-dir`, or a folder that is made now and removed by `close`.

    Raises:
        SettingsError: nothing can be written there.
    """

    def __init__(self, settings: Settings):
        self._private: Path | None = None
        self._lock = -1
        if settings.upload_dir:
            self.path = _usable(settings.upload_dir)
        else:
            parent = Path(tempfile.gettempdir())
            if gone := remove_left_behind(parent):
                log.warning("%d folders of uploads were left by programs that were killed: they are removed", gone)
            self._private = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).resolve()
            self._lock = _locked(self._private / LOCK, os.O_CREAT)
            # Beside the lock, as what lies among the uploads may be deleted.
            self.path = self._private / "uploads"
            self.path.mkdir()
        apply_environment(page_environment(self.path))

    def close(self) -> None:
        """Remove it, if it is private."""
        if self._private:
            shutil.rmtree(self._private, ignore_errors=True)
            os.close(self._lock)


def _usable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise SettingsError(f"--upload-dir {folder} cannot be used: {error.strerror}.") from error
    return folder.resolve()


def remove_left_behind(parent: Path) -> int:
    """Remove this user's folders under `parent` whose program has ended; gives how many went.

    One without a lock file is left: its program may just begin.
    """
    gone = 0
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
                continue
            lock = _locked(folder / LOCK)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            gone += not folder.exists()
    return gone


def _locked(path: Path, *flags: int) -> int:
    """A descriptor with the only lock on `path`. Raises `OSError`: it is not there, or somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | sum(flags), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
