"""No memory is no memory, on a GPU or a CPU."""

import pytest
import torch

from qwen_demo.engines.memory_errors import is_out_of_memory, memory_errors


def test_what_a_cpu_says_is_told_by_the_same_class():
    with pytest.raises(RuntimeError) as real:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert not isinstance(real.value, torch.OutOfMemoryError)
    for error in (real.value, MemoryError(), torch.OutOfMemoryError("CUDA out of memory")):
        assert is_out_of_memory(error)
        with pytest.raises(torch.OutOfMemoryError), memory_errors():
            raise error


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("can't allocate memory")])
def test_other_errors_stay_what_they_are(error):
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as raised, memory_errors():
        raise error
    assert raised.value is error
