"""Everything that can go wrong, as one tree. It knows no HTTP and no Gradio.

The message of each error is written for the person who caused it: what was
refused, the limit, and how to change it. `code` is stable: programs rely on it.
"""

import errno


class QwenDemoError(Exception):
    """Base of all errors that this package raises on purpose."""

    code = "internal_error"


class SettingsError(QwenDemoError):
    """A setting has a value that cannot work."""

    code = "invalid_settings"


class InvalidRequest(QwenDemoError):
    """The request itself is at fault; sending it again will not help.

    Args:
        field: name of the request field that was refused, if one is to blame.
    """

    code = "invalid_request"

    def __init__(self, message: str, *, field: str | None = None):
        super().__init__(message)
        self.field = field


class NotFound(InvalidRequest):
    """There is no such thing, or it is somebody else's: both are told the same."""

    code = "not_found"


class AdapterRefused(InvalidRequest):
    """A low-rank adapter is none, is damaged, or is for another model."""

    code = "invalid_adapter"


class ContextTooLong(InvalidRequest):
    """Prompt and answer together need more tokens than the model or the memory has."""

    code = "context_length_exceeded"


class MediaRefused(InvalidRequest):
    """An image or video is over a limit, of an unknown kind, or damaged."""

    code = "invalid_media"


class FetchRefused(MediaRefused):
    """A URL is not allowed or what it gave is not acceptable."""

    code = "invalid_media_url"


class Overloaded(QwenDemoError):
    """The waiting room is full.

    Args:
        retry_after_s: seconds after which a place is likely to be free.
    """

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(QwenDemoError):
    """The model is still loading, shutting down, or dead."""

    code = "not_ready"


class DiskFull(QwenDemoError):
    """An upload found no room on the disk."""

    code = "disk_full"
    numbers = (errno.ENOSPC, errno.EDQUOT)

    def __init__(self) -> None:
        super().__init__("The disk for uploads is full. Try again later.")


class DeadlineExceeded(QwenDemoError):
    """The request took longer than it was allowed to."""

    code = "deadline_exceeded"


class ModelLoadError(QwenDemoError):
    """The chosen model cannot be loaded; the message names cause and remedy."""

    code = "model_load_failed"


class EngineFailed(QwenDemoError):
    """The engine broke while it worked on this request."""

    code = "engine_failed"


class EngineRestarting(EngineFailed):
    """The engine ended while it worked on this request, and is being started again."""

    code = "engine_restarting"


class OutOfMemory(EngineFailed):
    """This request needed more memory than was free; others go on."""

    code = "out_of_memory"
