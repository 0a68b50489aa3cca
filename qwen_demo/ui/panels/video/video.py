"""The Video panel: which frames of a clip the model sees, what they cost, and where its answer points."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import gradio as gr
import PIL.Image

from qwen_demo.answers import timestamps
from qwen_demo.errors import QwenDemoError
from qwen_demo.media import Clip
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Message, Sampling, Text, Video
from qwen_demo.ui import assets, render
from qwen_demo.ui.attachments import Attachment, save_jpeg
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.gradio_internals import PRIVATE, UNQUEUED
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Problem, Words, words_for
from qwen_demo.ui.panels import answering

FRAME_HEIGHT = 96
MAX_FRAME_WIDTH = 240
MAX_FPS = 8.0


@dataclass
class VideoWidgets:
    player: gr.Video
    start: gr.Number
    end: gr.Number
    fps: gr.Slider
    frames: gr.Slider
    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    frames_view: gr.HTML
    answer: gr.HTML

    @property
    def controls(self) -> list[gr.Number | gr.Slider]:
        """In the order of `clip_of`'s parameters."""
        return [self.start, self.end, self.fps, self.frames]


def draw(settings: Settings) -> VideoWidgets:
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            player = gr.Video(
                label=texts.CLIP,
                sources=["upload", "webcam"],
                # Mirroring and muting would need the ffmpeg program.
                webcam_options=gr.WebcamOptions(mirror=False),
                include_audio=True,
                elem_id="clip",
            )
            frames_view = assets.view("frames", {}, texts.FRAMES)
        with gr.Column(scale=2, min_width=320):
            question = gr.Textbox(
                texts.CLIP_QUESTION_VALUE, label=texts.CLIP_QUESTION, lines=2, elem_id="clip-question"
            )
            with gr.Row():
                ask = gr.Button(texts.ASK, variant="primary", min_width=120, elem_id="clip-ask")
                stop = gr.Button(texts.STOP, interactive=False, min_width=120, elem_id="clip-stop")
            answer = assets.view("timestamps", {}, texts.TIMESTAMPS)
    with gr.Row(equal_height=True):
        start = gr.Number(0, label=texts.CLIP_START, minimum=0, min_width=150, elem_id="clip-start")
        end = gr.Number(0, label=texts.CLIP_END, minimum=0, min_width=150, elem_id="clip-end")
        fps = gr.Slider(
            0.1, max(MAX_FPS, settings.video_fps), settings.video_fps, step=0.1, label=texts.CLIP_FPS, scale=2,
            min_width=220, elem_id="clip-fps",
        )  # fmt: skip
        most = settings.max_frames // 2 * 2
        frames = gr.Slider(0, most, 0, step=2, label=texts.CLIP_FRAMES, scale=2, min_width=220, elem_id="clip-frames")
    return VideoWidgets(player, start, end, fps, frames, question, ask, stop, frames_view, answer)


def clip_of(start: float | None, end: float | None, fps: float | None, frames: float | None) -> Clip:
    """What the controls say; an empty or zero end is the clip's own, and no frames are as many as the model can take."""
    return Clip(start or None, end or None, fps or None, int(frames) if frames else None)


async def preview(path: str | None, clip: Clip, service: Service, reader: Reader, words: Words = texts) -> dict:
    """Value of the view of frames: one image with all frames side by side, their times, and what they cost."""
    if not path:
        return {}
    try:
        video = await _open(path, clip, reader)
        sheet, cell = await asyncio.to_thread(_sheet, video)
    except QwenDemoError as error:
        problem, original = Problem.of(error).localize(words)
        return {"problem": problem, "original": original}
    model = service.status().model
    attachment = Attachment(path, video.raster.size, video.raster.count)
    return {
        "sheet": sheet,
        "cell": cell,
        "times": [round(time, 3) for time in video.times_s],
        "duration": round(video.duration_s, 2),
        "fps": round(video.fps, 2),
        "seen": attachment.seen(model, None),
        "tokens": attachment.tokens(model, None),
        "context": model.context_tokens,
    }


def _sheet(video: Video) -> tuple[str, tuple[int, int]]:
    width, height = video.raster.size
    cell = max(1, min(MAX_FRAME_WIDTH, round(width * FRAME_HEIGHT / height))), FRAME_HEIGHT
    sheet = PIL.Image.new("RGB", (cell[0] * video.raster.count, cell[1]))
    for index, frame in enumerate(video.frames):
        sheet.paste(frame.resize(cell), (cell[0] * index, 0))
    return save_jpeg(sheet, "frames.jpg"), cell


async def answers(
    path: str, question: str, clip: Clip, sampling: Sampling, service: Service, reader: Reader, words: Words = texts
) -> AsyncGenerator[dict, None]:
    """Values of the answer's view, growing."""
    seen: list[Video] = []

    async def request() -> ChatRequest:
        seen.append(await _open(path, clip, reader))
        return ChatRequest((Message("user", (seen[0], Text(question))),), sampling)

    yield {"running": True, "note": words.LOOKING}
    async with aclosing(answering.answer(request(), service, words)) as steps:
        async for step in steps:
            duration_s = seen[0].duration_s if seen else 0.0
            yield _value(step, duration_s)


def _value(step: answering.PanelStep, duration_s: float) -> dict:
    found = timestamps.find(step.text, duration_s)
    value = {
        **step.value,
        "timestamps": [
            {
                "start": timestamp.start_s,
                "time": _range(timestamp),
                "label": timestamp.label,
                "from": timestamp.start,
                "to": timestamp.end,
            }
            for timestamp in found
        ],
    }
    if found and not step.running:
        value["files"] = {
            "srt": timestamps.srt(found, duration_s),
            "vtt": timestamps.webvtt(found, duration_s),
            "chapters": timestamps.chapters(found, duration_s),
        }
    return value


def _range(timestamp: timestamps.Timestamp) -> str:
    ends = [timestamp.start_s] if timestamp.end_s is None else [timestamp.start_s, timestamp.end_s]
    return " – ".join(timestamps.clock_of(end, tenths=True) for end in ends)


async def _open(path: str, clip: Clip, reader: Reader) -> Video:
    video = await reader.file(path, clip)
    assert isinstance(video, Video)
    return video


def wire(widgets: VideoWidgets, service: Service, reader: Reader) -> None:
    async def show(request: gr.Request, path, *controls):
        return await preview(path, clip_of(*controls), service, reader, words_for(request))

    async def ask(request: gr.Request, path, question, *controls) -> AsyncGenerator:
        sampling = Sampling(max_new_tokens=min(1024, service.settings.max_new_tokens))
        words = words_for(request)
        async with aclosing(answers(path, question, clip_of(*controls), sampling, service, reader, words)) as values:
            async for value in values:
                yield value

    def begin(path, question, request: gr.Request):
        if not path or not (question or "").strip():
            words = words_for(request)
            raise render.refusal(words.NO_CLIP if not path else words.EMPTY_QUESTION)
        return answering.busy(True)

    def note(value, request: gr.Request):
        return answering.note_stop(value, words_for(request))

    buttons = [widgets.ask, widgets.stop]
    decoding = {**PRIVATE, "trigger_mode": "always_last"}
    begun = gr.on(
        [widgets.ask.click, widgets.question.submit], begin, [widgets.player, widgets.question], buttons, **PRIVATE
    )
    asking = begun.success(
        ask,
        [widgets.player, widgets.question, *widgets.controls],
        widgets.answer,
        **PRIVATE,
        concurrency_id="answers",
    )
    asking.then(lambda: answering.busy(False), None, buttons, **UNQUEUED)
    # Another clip ends the answer about the last one. Before its frames are shown: events go one after the other, and
    # a question that is asked meanwhile is about this clip.
    widgets.player.change(
        None, None, [*buttons, widgets.answer], js=f"() => [{answering.IDLE}, {{}}]", cancels=[asking], **UNQUEUED
    )
    for event in (widgets.player.change, *(control.change for control in widgets.controls)):
        event(show, [widgets.player, *widgets.controls], widgets.frames_view, **decoding)
    # In two steps: what was on its way when the answer was cancelled must not come after the note.
    stopping = widgets.stop.click(lambda: answering.busy(False), None, buttons, cancels=[asking], **UNQUEUED)
    stopping.then(note, widgets.answer, widgets.answer, **UNQUEUED)
