"""Chips at the question for every setting that differs from its default; a click takes one back.

What the controls hold reaches the view in the browser alone; no event of the server's is spent on it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.events import Dependency

from qwen_demo.ui import assets
from qwen_demo.ui.gradio_internals import EACH, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.kept_settings import kept_settings

# What the view says when all are to go.
ALL = "all"


def draw() -> gr.HTML:
    return assets.view("set_chips", {}, texts.CHIPS)


def wire(view: gr.HTML, controls: Mapping[str, Any], setting: Sequence[Dependency]) -> None:
    """Args:
    controls: by the names that `texts.CHIPS` has words for.
    setting: events that set them. A control that is folded away tells of no change.
    """
    names, widgets = list(controls), list(controls.values())
    defaults: dict[str, Any] = {name: control.value for name, control in controls.items()}
    known = f"names: {json.dumps(names)}, defaults: {json.dumps(list(defaults.values()))}"
    show = f"(...values) => ({{{known}, values: {kept_settings.keep(names, 'values')}}})"

    def reset(event: gr.EventData):
        name = event_data(event).get("name")
        return [defaults[known] if name in (known, ALL) else gr.skip() for known in names]

    again = view.reset(reset, None, widgets, **UNQUEUED, **EACH)
    for event in (*setting, again):
        event.then(None, widgets, view, js=show, **UNQUEUED)
    gr.on([widget.change for widget in widgets], None, widgets, view, js=show, **UNQUEUED)
