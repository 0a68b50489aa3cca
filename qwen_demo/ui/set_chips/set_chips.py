"""Chips at the question for every setting that differs from its default; a click takes one back.

What the controls hold reaches the view in the browser alone; no event of the server's is spent on it.
"""

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from qwen_demo.ui import assets
from qwen_demo.ui.gradio_internals import EACH, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts


def draw() -> gr.HTML:
    return assets.view("set_chips", {}, texts.CHIPS)


def wire(view: gr.HTML, controls: Mapping[str, Any], demo: gr.Blocks) -> None:
    """Args:
    controls: by the names that `texts.CHIPS` has words for.
    """
    names, widgets = list(controls), list(controls.values())
    defaults: dict[str, Any] = {name: control.value for name, control in controls.items()}
    show = f"(...values) => ({{names: {json.dumps(names)}, defaults: {json.dumps(list(defaults.values()))}, values}})"
    gr.on([demo.load, *(widget.change for widget in widgets)], None, widgets, view, js=show, **UNQUEUED)

    def reset(event: gr.EventData):
        name = event_data(event).get("name")
        return [defaults[name] if known == name else gr.skip() for known in names]

    view.reset(reset, None, widgets, **UNQUEUED, **EACH)
