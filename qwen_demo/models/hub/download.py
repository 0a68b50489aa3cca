"""A model's files from the hub into its cache, through huggingface_hub's own requests and layout.

What that library's downloads lack: a file that was interrupted goes on where it stopped, also after the program ended;
what arrives is compared with the hub's hash; room on the disk is looked at first; progress goes to a callback, and
another thread may pause or cancel.
"""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.hub.listing import Listing, RemoteFile, hash_of, host_of, hub_errors
from qwen_demo.sentences import Sentence

GB = 10**9
# Room that stays free on the disk.
SPARE_BYTES = 1 << 28
REPORT_EVERY_S = 0.5


class DownloadStopped(ModelLoadError):
    """Somebody paused or cancelled it. What has come stays, and the next download goes on from there."""


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download is.

    Attributes:
        done_bytes, total_bytes: of all files; what was there already counts as done.
        files_done, files: complete ones, and all.
        seconds_left: by the rate since the download began; None before it is known.
    """

    model_id: str
    done_bytes: int
    total_bytes: int
    files_done: int
    files: int
    seconds_left: float | None = None

    @property
    def sentence(self) -> Sentence:
        """For people."""
        values: dict[str, Any] = {
            "model": self.model_id,
            "done": self.done_bytes / GB,
            "total": self.total_bytes / GB,
            "file": min(self.files_done + 1, self.files),
            "files": self.files,
        }
        if self.seconds_left is None:
            return Sentence("Downloading {model}: {done:.2f} of {total:.2f} GB, file {file} of {files}", **values)
        return Sentence(
            "Downloading {model}: {done:.2f} of {total:.2f} GB, file {file} of {files}, {seconds:.0f} s left",
            **values,
            seconds=self.seconds_left,
        )


class Download:
    """One download. `run` blocks; `stop` may be called from another thread.

    Args:
        listing: what to fetch.
        token: of the hub, for private repositories.
        on_progress: called about twice a second, on the thread that runs.
        cache_dir: the hub's cache; None is its usual place.
    """

    def __init__(
        self,
        listing: Listing,
        token: str | None = None,
        on_progress: Callable[[DownloadProgress], None] = lambda progress: None,
        *,
        cache_dir: Path | None = None,
    ):
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        self.listing, self._token, self._on_progress = listing, token, on_progress
        self._cache_dir = Path(cache_dir or constants.HF_HUB_CACHE).expanduser()
        self._folder = self._cache_dir / repo_folder_name(repo_id=listing.model_id, repo_type="model")
        self._stop, self._removes = threading.Event(), False
        self._done = self._begun_with = self._files_done = 0
        self._began = self._reported = time.monotonic()

    def stop(self) -> None:
        """`run` ends with `DownloadStopped` within a piece of a file."""
        self._stop.set()

    def cancel(self) -> None:
        """`stop`, and `run` removes what has come of files that are not whole."""
        self._removes = True
        self._stop.set()

    @property
    def is_cancelled(self) -> bool:
        return self._removes

    def discard(self) -> None:
        """Remove what has come of files that are not whole, while nothing runs."""
        for file in self.listing.files:
            self._part(file).unlink(missing_ok=True)

    def missing(self) -> list[RemoteFile]:
        return [file for file in self.listing.files if not self._blob(file).exists()]

    def missing_bytes(self) -> int:
        """What is still to come."""
        return sum(file.size - _size(self._part(file)) for file in self.missing())

    def run(self) -> Path:
        """Fetch what is missing; gives the folder of the snapshot.

        Raises:
            DownloadStopped: after `stop` or `cancel`.
            ModelLoadError: no room, a broken connection, or a file that is not what the hub says.
        """
        from huggingface_hub import hf_hub_download

        listing = self.listing
        self._check_room()
        self._done = self._begun_with = listing.bytes - self.missing_bytes()
        self._began = time.monotonic()
        self._report(force=True)
        snapshot = ""
        try:
            for file in listing.files:
                if not self._blob(file).exists():
                    self._fetch(file)
                # Finds the file in the cache and gives it its name in the snapshot.
                with hub_errors(listing.model_id, listing.commit):
                    path = hf_hub_download(
                        listing.model_id,
                        file.name,
                        revision=listing.commit,
                        token=self._token,
                        cache_dir=self._cache_dir,
                    )
                snapshot = path.removesuffix(file.name)
                self._files_done += 1
                self._report(force=True)
        except DownloadStopped:
            if self._removes:
                self.discard()
            raise
        self._name_revision()
        return Path(snapshot)

    def _name_revision(self) -> None:
        """Tell the library's look-ups by branch or tag which commit is here, now that all of it is."""
        listing = self.listing
        if listing.revision != listing.commit:
            named = self._folder / "refs" / listing.revision
            named.parent.mkdir(parents=True, exist_ok=True)
            named.write_text(listing.commit)

    def _fetch(self, file: RemoteFile) -> None:
        """Bytes of one file into the cache, from where they stopped."""
        from huggingface_hub.utils import WeakFileLock

        part, blob = self._part(file), self._blob(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Another program may fetch the same file.
            with WeakFileLock(part.with_suffix(".part.lock")):
                if blob.exists():
                    return
                self._receive_into(file, part)
                os.replace(part, blob)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ModelLoadError(self._no_room(file.size - _size(part))) from error
            raise

    def _receive_into(self, file: RemoteFile, part: Path) -> None:
        """The rest of a file, and whether its bytes are those that the hub names."""
        with part.open("ab") as opened:
            self._receive(file, opened)
        if hash_of(part, is_large=file.is_large) != file.etag:
            self._done -= file.size
            part.unlink()
            raise ModelLoadError(
                Sentence(
                    "{file} of {model} arrived with other bytes than the hub names (its hash differs) and was removed. Try "
                    "again; if it stays so, the hub's mirror or a proxy in between is at fault.",
                    file=file.name,
                    model=self.listing.model_id,
                )
            )

    def _receive(self, file: RemoteFile, opened) -> None:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import get_hf_file_metadata, http_get
        from huggingface_hub.utils import build_hf_headers

        listing = self.listing
        with hub_errors(listing.model_id, listing.commit):
            url = hf_hub_url(listing.model_id, file.name, revision=listing.commit)
            there = get_hf_file_metadata(url, token=self._token)
            headers = build_hf_headers(token=self._token)
            if host_of(there.location) != host_of(url):
                headers.pop("authorization", None)  # a content network of somebody else
            http_get(
                there.location,
                opened,
                resume_size=opened.tell(),
                headers=headers,
                expected_size=file.size,
                tqdm_class=self._bar(),
            )

    def _bar(self) -> Any:
        """What huggingface_hub tells of each piece, in tqdm's words."""
        download = self

        class Bar:
            def __init__(self, *args: Any, **kwargs: Any):
                pass

            def __enter__(self) -> "Bar":
                return self

            def __exit__(self, *error: object) -> None:
                pass

            def update(self, n: float | None = 1) -> None:
                download._advance(int(n or 0))

            def close(self) -> None:
                pass

        return Bar

    def _advance(self, count: int) -> None:
        self._done += count
        self._report()
        if self._stop.is_set():
            raise DownloadStopped(f"The download of {self.listing.model_id} was stopped.")

    def _report(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._reported < REPORT_EVERY_S:
            return
        self._reported = now
        came, total = self._done - self._begun_with, self.listing.bytes
        left = (total - self._done) * (now - self._began) / came if came > 0 else None
        self._on_progress(
            DownloadProgress(self.listing.model_id, self._done, total, self._files_done, len(self.listing.files), left)
        )

    def _check_room(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if (needed := self.missing_bytes()) + SPARE_BYTES > shutil.disk_usage(self._folder).free and needed:
            raise ModelLoadError(self._no_room(needed))

    def _no_room(self, needed: int) -> Sentence:
        return Sentence(
            "{model}: {needed:.2f} GB are still to be downloaded, and the disk of {folder} has {free:.2f} GB free. Make "
            "room, or set HF_HOME to a folder on a larger disk; what has come stays there and is not fetched again.",
            model=self.listing.model_id,
            needed=needed / GB,
            folder=str(self._cache_dir),
            free=shutil.disk_usage(self._folder).free / GB,
        )

    def _blob(self, file: RemoteFile) -> Path:
        return self._folder / "blobs" / file.etag

    def _part(self, file: RemoteFile) -> Path:
        return self._folder / "blobs" / f"{file.etag}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
