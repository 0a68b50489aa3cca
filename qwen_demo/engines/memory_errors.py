"""The errors of a machine without memory, by one name. A GPU's allocator has a class for it; a CPU's says so in words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# PyTorch's allocator for the CPU raises a plain RuntimeError, and nothing but its words tell it from others.
_WORDS = ("can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raises `torch.OutOfMemoryError` for what `is_out_of_memory`, on whatever device."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error) and not isinstance(error, torch.OutOfMemoryError):
            raise torch.OutOfMemoryError(str(error)) from error
        raise
