"""What a repository on the hub holds, and what goes wrong when it is asked, in words with a remedy."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

from qwen_demo.errors import ModelLoadError
from qwen_demo.sentences import Sentence

# What loading reads. Repositories may hold the weights a second time in other formats.
WANTED = ("*.json", "*.safetensors", "*.jinja", "merges.txt")
TRANSPORTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
HASHED_AT_ONCE = 1 << 22
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        etag: its name in the cache: SHA-256 of a large file, git's hash of a small one.
        is_large: which of the two.
    """

    name: str
    size: int
    etag: str
    is_large: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository holds at one commit.

    Attributes:
        revision: by which it was asked for: a branch, a tag or the commit.
    """

    model_id: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def list_files(model_id: str, revision: str | None, token: str | None, *, timeout_s: float | None = None) -> Listing:
    """What `Download` would fetch.

    Raises:
        ModelLoadError: there is no such repository, it is private, or the hub does not answer.
    """
    from huggingface_hub import HfApi

    with hub_errors(model_id, revision):
        info = HfApi(token=token).model_info(model_id, revision=revision, files_metadata=True, timeout=timeout_s)
    files = [
        RemoteFile(
            sibling.rfilename,
            sibling.size or 0,
            sibling.lfs.sha256 if sibling.lfs else sibling.blob_id or "",
            sibling.lfs is not None,
        )
        for sibling in info.siblings or ()
        if any(fnmatch(sibling.rfilename, pattern) for pattern in WANTED)
    ]
    if not _HASH.fullmatch(info.sha or "") or not all(map(_can_be, files)):
        raise ModelLoadError(
            f"The hub, or its mirror, lists files of {model_id} by names, hashes or sizes that cannot be: nothing is fetched."
        )
    if not any(file.name.endswith(".safetensors") for file in files):
        raise ModelLoadError(
            Sentence("{model} has no safetensors files on the hub. Choose a repository that has them.", model=model_id)
        )
    assert info.sha
    # Small ones first: what a model is can be told before its weights are there.
    return Listing(
        model_id, revision or "main", info.sha, tuple(sorted(files, key=lambda file: (file.is_large, file.name)))
    )


def _can_be(file: RemoteFile) -> bool:
    """Both become paths on this disk."""
    plain = not {"", ".", ".."} & set(file.name.split("/")) and "\\" not in file.name
    return plain and file.size >= 0 and bool(_HASH.fullmatch(file.etag))


@contextmanager
def hub_errors(model_id: str, revision: str | None) -> Iterator[None]:
    """What huggingface_hub and its transport raise, as `ModelLoadError` with cause and remedy."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        raise ModelLoadError(
            Sentence(
                "{model} is gated: its page on the hub asks for consent. Give it there, make a token that may read, and "
                "set QWEN_DEMO_HF_TOKEN.",
                model=model_id,
            )
        ) from error
    except RevisionNotFoundError as error:
        gone = "{model} has no revision {revision}. Leave --revision away for the newest."
        raise ModelLoadError(Sentence(gone, model=model_id, revision=str(revision))) from error
    except RepositoryNotFoundError as error:
        raise ModelLoadError(
            Sentence(
                "The hub shows no {model}: the name is wrong, or it is private. For a private one make a token that may "
                "read it and set QWEN_DEMO_HF_TOKEN.",
                model=model_id,
            )
        ) from error
    except OfflineModeIsEnabled as error:
        raise ModelLoadError(
            Sentence(
                "{model} is not in the cache, and HF_HUB_OFFLINE forbids to ask the hub. --model embedded works without.",
                model=model_id,
            )
        ) from error
    except EntryNotFoundError as error:
        raise ModelLoadError(f"A file of {model_id} is gone from the hub: {error}. Try again.") from error
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ModelLoadError(f"The hub refused {model_id}: {error}") from error
    except Exception as error:  # transport errors have no common public base
        if type(error).__module__.split(".")[0] in TRANSPORTS or isinstance(error, ConnectionError):
            raise ModelLoadError(
                Sentence(
                    "The connection to the hub broke: {why}. What has come stays; try again, or set HF_ENDPOINT to a "
                    "mirror.",
                    why=f"{type(error).__name__} {error}",
                )
            ) from error
        raise


def hash_of(path: Path, *, is_large: bool) -> str:
    """As the hub names the bytes: SHA-256 of a large file, git's hash of a small one."""
    digest = hashlib.sha256() if is_large else hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as opened:
        while piece := opened.read(HASHED_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()


def host_of(url: str) -> str:
    return urlsplit(url).netloc
