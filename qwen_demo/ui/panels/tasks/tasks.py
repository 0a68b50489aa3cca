"""The Tasks panel: presets after Qwen's cookbooks, each a question, an image of ours and the controls.

A preset that the small embedded model was not taught stays, marked: a test asks it every other one.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from qwen_demo.service.service import Service
from qwen_demo.ui import assets, render
from qwen_demo.ui.examples import FOLDER
from qwen_demo.ui.i18n import languages, texts
from qwen_demo.ui.i18n.languages import Words

_TOTAL = {
    "type": "object",
    "properties": {"total": {"type": "string", "pattern": r"^[0-9]+\.[0-9]{2}$"}},
    "required": ["total"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Preset:
    """One preset.

    Attributes:
        key: its name in `texts.TASK_TITLES`.
        prompt: the question, as the model reads it.
        files: in `examples/`; the first stands on the card.
        embedded: whether the embedded model answers it rightly.
        tab: where it is asked: chat, video, documents or points.
        schema: JSON schema that the answer follows, as text; "" for none.
        tokens: longest answer.
        kind: for documents, which of the panel's tasks.
    """

    key: str
    prompt: str
    files: tuple[str, ...]
    embedded: bool = True
    tab: str = "chat"
    schema: str = ""
    tokens: int = 512
    kind: str = ""

    @property
    def paths(self) -> list[str]:
        return [str(FOLDER / name) for name in self.files]


TASKS = (
    Preset("describe", "Describe the image.", ("shapes.png",)),
    Preset("read", "Read the text.", ("sign.png",)),
    Preset("find", "Detect all objects and output their bounding boxes in JSON.", ("boxes.png",)),
    Preset("count", "How many apples are there?", ("count.png",), tokens=64),
    Preset("compare", "What is the difference between the images?", ("two_images_1.png", "two_images_2.png")),
    Preset("chart", "List the values.", ("bar_chart.png",)),
    Preset("page", "Read the text.", ("page.png",), tab="documents", kind="text"),
    Preset("motion", "Which way does the purple square move?", ("clip.mp4",), tab="video", tokens=64),
    Preset("extract", "What is the total?", ("receipt.png",), False, schema=json.dumps(_TOTAL, indent=2), tokens=64),
    Preset("document", "QwenVL HTML", ("page.png",), embedded=False, tab="documents", kind="html", tokens=2048),
    Preset(
        "video",
        "List what happens and when. Give start_time and end_time as mm:ss.ff and a description, in JSON.",
        ("clip.mp4",),
        embedded=False,
        tab="video",
    ),
    Preset("gui", 'Where is the "Save" button? Output its point_2d in JSON.', ("gui.png",), embedded=False, tokens=128),
    Preset(
        "room",
        "Where is each object? Mark it in every view that shows it, in JSON.",
        ("room.png", "room.glb"),
        embedded=False,
        tab="points",
    ),
)


def draw() -> gr.HTML:
    return assets.view("tasks", {}, texts.TASKS)


def cards(service: Service, words: Words = texts) -> dict:
    """Value of the view. Marks depend on the model that answers now."""
    status = service.status()
    limited = status.state == "ready" and status.model.embedded
    return {
        "cards": [
            {
                "key": task.key,
                "prompt": languages.question(task.prompt, words),
                "file": task.paths[0],
                "tab": task.tab,
                "schema": bool(task.schema),
                "unable": limited and not task.embedded,
            }
            for task in TASKS
        ]
    }


def pick(data: Any, words: Words = texts) -> Preset:
    """The card that a browser names, with its question in the visitor's language. Raises `gr.Error` for anything else."""
    key = data.get("key") if isinstance(data, dict) else None
    task = next((task for task in TASKS if task.key == key), None)
    if task is None:
        raise render.refusal(words.NO_TASK)
    return replace(task, prompt=languages.question(task.prompt, words))
