"""Stands in for Hugging Face's `spaces` on a ZeroGPU Space, as far as its documentation says:
`GPU` wraps a generator, `duration` is asked with the same arguments, and `Blocks.launch` is the
moment at which decorated functions must be known."""

import functools

import gradio as gr

decorated = []
durations = []


def GPU(task=None, *, duration=60):
    if task is None:
        return functools.partial(GPU, duration=duration)

    @functools.wraps(task)
    def borrowed(*args, **kwargs):
        durations.append(duration(*args, **kwargs) if callable(duration) else duration)
        print(f"GPU borrowed for {durations[-1]} s", flush=True)
        yield from task(*args, **kwargs)

    decorated.append(borrowed)
    return borrowed


_launch = gr.Blocks.launch


def launch(self, *args, **kwargs):
    assert decorated, "no function asks for a GPU at launch"
    return _launch(self, *args, **kwargs)


gr.Blocks.launch = launch
