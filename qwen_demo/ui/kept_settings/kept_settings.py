"""What a visitor has set outlives the page: a reload, the language switch, the next day, a new chat.

The browser keeps what differs from the defaults, see `kept_settings.js`, so a default that the server changes is seen
by all who did not choose otherwise. What belongs to one conversation is kept for the tab, as its draft is.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.events import Dependency

from qwen_demo.ui.gradio_internals import UNQUEUED
from qwen_demo.ui.i18n import texts

# Inputs of a load of the page: the collection that this tab had chosen stands in place of what the view holds.
COLLECTION = "() => [{collection: window.qwenDemo.settings.collection()}]"
KEEP_COLLECTION = "name => { window.qwenDemo.settings.keepCollection(name); }"


def draw() -> gr.Button:
    """The foot of the drawer: where settings stay, and the way back."""
    gr.Markdown(texts.SETTINGS_STAY, elem_classes="hint")
    return gr.Button(texts.SETTINGS_RESET, size="sm", elem_id="settings-reset")


def wire(
    controls: Mapping[str, Any], reset: gr.Button, demo: gr.Blocks, of_chat: Collection[str] = ()
) -> list[Dependency]:
    """Returns the events that set the controls: when the page is opened, and by `reset`.

    Args:
        controls: by the names under which the browser keeps them; see `keep`.
        of_chat: those that are kept for the tab alone.
    """
    widgets = list(controls.values())
    known = [_described(name, control, name in of_chat) for name, control in controls.items()]
    restore = f"(...values) => window.qwenDemo.settings.restore({json.dumps(known)}, values)"
    restored = demo.load(None, widgets, widgets, js=restore, **UNQUEUED)
    usual = reset.click(None, None, widgets, js="() => window.qwenDemo.settings.usual()", **UNQUEUED)
    return [restored, usual]


def keep(names: Sequence[str], values: str) -> str:
    """What a script does to have the browser keep `values`, an array in it; an expression with the same array."""
    return f"window.qwenDemo.settings.keep({json.dumps(names)}, {values})"


def keep_changes(controls: Mapping[str, Any], reset: Dependency) -> None:
    """Keep `controls`, some of those of `wire`, whenever one of them changes, and after `reset`."""
    names, widgets = list(controls), list(controls.values())
    script = f"(...values) => {{ {keep(names, 'values')}; }}"
    gr.on([widget.change for widget in widgets], None, widgets, None, js=script, **UNQUEUED)
    reset.then(None, widgets, None, js=script, **UNQUEUED)


def _described(name: str, control: Any, of_chat: bool) -> dict[str, Any]:
    """What the browser must know of a control: what comes out of its storage may be anything."""
    found = {"name": name, "usual": control.value, "tab": of_chat}
    if isinstance(control, gr.Radio):
        return {**found, "choices": [value for _, value in control.choices]}
    bounds = {"least": getattr(control, "minimum", None), "most": getattr(control, "maximum", None)}
    return {**found, **{key: bound for key, bound in bounds.items() if bound is not None}}
