"""The question on the page as code: curl, the `openai` package, `gradio_client`. Pure.

Whatever stands in the conversation, the code is what it seems: words are literals of the language
(quoted for the shell, `repr` in Python), and no word of a visitor becomes a comment or a command.
Images are read from files of the names that they were uploaded under.
"""

import json
import pprint
import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from qwen_demo.types import Sampling
from qwen_demo.ui import file_types
from qwen_demo.ui.history.transcript import File, Turn

# A conversation with more characters is no snippet any more.
MAX_CHARACTERS = 200_000
KEY = "QWEN_DEMO_API_KEY"
_PLAIN = {"temperature": 0.0, "top_p": 1.0, "repetition_penalty": 1.0, "seed": None}


@dataclass(frozen=True, slots=True)
class Question:
    """What the code asks.

    Attributes:
        turns: end with a question.
        address: of this server, as `https://host/root`.
        needs_key: the REST API takes requests with an API key alone.
        has_login: the page, and so `gradio_client`, needs a name and a password.
    """

    turns: Sequence[Turn]
    sampling: Sampling
    address: str
    model: str = ""
    adapter: str = ""
    system_prompt: str = ""
    max_pixels: int | None = None
    needs_key: bool = False
    has_login: bool = False


def address_of(value: Any) -> str:
    """The server's address as the browser says it, or a common one where that is no web address."""
    if isinstance(value, str) and len(value) < 500 and re.fullmatch(r"https?://[\w.:\[\]%~/-]+", value, re.ASCII):
        return value.rstrip("/") if urlsplit(value).netloc else "http://localhost:7860"
    return "http://localhost:7860"


def all_of(question: Question) -> dict[str, str]:
    """Each kind of code by its name. Raises `ValueError` where nothing was asked or it is too long."""
    if not question.turns:
        raise ValueError("empty")
    if sum(len(turn.text) for turn in question.turns) + len(question.sampling.json_schema or "") > MAX_CHARACTERS:
        raise ValueError("long")
    return {"curl": curl(question), "openai": openai(question), "gradio_client": gradio_client(question)}


class _Code(str):
    """Python code inside of a value that is written with `repr`."""

    def __repr__(self) -> str:
        return str(self)


def curl(question: Question) -> str:
    """The body goes through a pipe, as images are longer than a command line may be."""
    mark = secrets.token_hex(16)  # stands nowhere else, as nobody could guess it
    body = _body(question, lambda file: f"data:{media_type(file)};base64,{mark}{file.name}{mark}")
    text = json.dumps(body, ensure_ascii=False)
    # Every second piece is a file's name, still as JSON writes it.
    pieces = []
    for index, piece in enumerate(text.split(mark)):
        name = json.loads(f'"{piece}"') if index % 2 else ""
        pieces.append(f"base64 < {_quoted('./' + name)} | tr -d '\\n'" if name else f"printf %s {_quoted(piece)}")
    key = f' \\\n  -H "Authorization: Bearer ${KEY}"' if question.needs_key else ""
    url = _quoted(f"{question.address}/v1/chat/completions")
    send = f"curl -sS {url} \\\n  -H 'Content-Type: application/json'{key} \\\n  --data-binary @-"
    if len(pieces) == 1:
        return f"{pieces[0]} | {send}\n"
    lines = "\n".join(f"  {piece}" for piece in pieces)
    return f"{{\n{lines}\n}} | {send}\n"


def openai(question: Question) -> str:
    body = _body(question, lambda file: _Code(f"data_url({file.name!r}, {media_type(file)!r})"))
    extra = {key: body.pop(key) for key in ("repetition_penalty", "mm_processor_kwargs") if key in body}
    if extra:
        body["extra_body"] = extra
    files = any(turn.files for turn in question.turns)
    key = f'os.environ["{KEY}"]' if question.needs_key else '"none"'
    head = [*(["import base64"] if files else []), *(["import os"] if question.needs_key else [])]
    lines = [*head, *([""] if head else []), "from openai import OpenAI", ""]
    if files:
        lines += [
            "",
            "def data_url(path, media_type):",
            '    with open(path, "rb") as file:',
            '        return f"data:{media_type};base64,{base64.b64encode(file.read()).decode()}"',
            "",
            "",
        ]
    lines += [
        f"client = OpenAI(base_url={question.address + '/v1'!r}, api_key={key})",
        f"answer = client.chat.completions.create(\n{_arguments(body)})",
        "print(answer.choices[0].message.content)",
    ]
    return "\n".join(lines) + "\n"


def gradio_client(question: Question) -> str:
    """The page's own API. It knows no JSON schema and no adapter, and the code says so."""
    files = any(turn.files for turn in question.turns)
    arguments = {"messages": [_gradio_message(turn) for turn in question.turns], **_changed(question.sampling)}
    arguments["max_new_tokens"] = question.sampling.max_new_tokens
    if question.max_pixels:
        arguments["max_pixels"] = question.max_pixels
    if question.system_prompt:
        arguments["system_prompt"] = question.system_prompt
    arguments["api_name"] = "/chat"
    login = ', auth=("name", "password")' if question.has_login else ""
    lacks = {"JSON schema": question.sampling.json_schema, "adapter": question.adapter}
    note = [f"# This API takes no {what}; use the OpenAI API for it." for what, asked in lacks.items() if asked]
    lines = [
        f"from gradio_client import Client{', handle_file' if files else ''}",
        "",
        f"client = Client({question.address!r}{login})",
        *note,
        f"answer = client.predict(\n{_arguments(arguments)})",
        "print(answer)",
    ]
    return "\n".join(lines) + "\n"


def media_type(file: File) -> str:
    return file_types.media_type(file.name) or "image/png"


def _body(question: Question, url) -> dict:
    """A chat completion request; `url` makes a file's data URL."""
    messages = [_message(turn, url) for turn in question.turns]
    if question.system_prompt:
        messages = [{"role": "system", "content": question.system_prompt}, *messages]
    sampling = question.sampling
    body = {
        "model": question.adapter or question.model,
        "messages": messages,
        **_changed(sampling),
        "max_tokens": sampling.max_new_tokens,
    }
    if question.max_pixels:
        body["mm_processor_kwargs"] = {"max_pixels": question.max_pixels}
    if sampling.json_schema:
        schema = {"name": "answer", "schema": json.loads(sampling.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _changed(sampling: Sampling) -> dict:
    """Parameters that are not at their defaults; the temperature always, as other servers have another default."""
    values = {name: getattr(sampling, name) for name in _PLAIN}
    return {name: value for name, value in values.items() if name == "temperature" or value != _PLAIN[name]}


def _message(turn: Turn, url) -> dict:
    if not turn.files:
        return {"role": turn.role, "content": turn.text}
    return {"role": turn.role, "content": [_part(part, url) for part in turn.parts]}


def _part(part: str | File, url) -> dict:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    found = media_type(part)
    models = file_types.MODELS.values()
    kind = "video_url" if found.startswith("video/") else "model_url" if found in models else "image_url"
    return {"type": kind, kind: {"url": url(part)}}


def _gradio_message(turn: Turn) -> dict:
    if not turn.files:
        return {"role": turn.role, "content": turn.text}
    parts = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "file", "file": _Code(f"handle_file({part.name!r})")}
        for part in turn.parts
    ]
    return {"role": turn.role, "content": parts}


def _quoted(text: str) -> str:
    # Half a character pair cannot be written to a terminal.
    return shlex.quote(text.encode("utf-8", "replace").decode())


def _arguments(values: dict) -> str:
    lines = []
    for name, value in values.items():
        written = pprint.pformat(value, width=96, sort_dicts=False)
        lines.append(f"    {name}={written.replace(chr(10), chr(10) + ' ' * (5 + len(name)))},\n")
    return "".join(lines)
