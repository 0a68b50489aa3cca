"""Conversation -> token ids, by the checkpoint's own chat template.

What people type is never read as special tokens: the template is rendered with a place for each text, and the texts are
turned into ids apart.
"""

import re
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from qwen_demo.models.tools import hermes
from qwen_demo.types import ChatRequest, Image, Message, Part, Text

# A template that states tools itself: it looks at them in an expression.
_STATES_TOOLS = re.compile(r"\{[{%][^{}]*\btools\b")


class ChatTemplate:
    """Of one checkpoint. Safe to use from several threads.

    Args:
        processor: `Qwen2_5_VLProcessor` of the checkpoint.
    """

    def __init__(self, processor: Any):
        self._processor, self._tokenizer = processor, processor.tokenizer
        self._special = re.compile("|".join(re.escape(token) for token in self._tokenizer.get_added_vocab()))
        self._states_tools = bool(_STATES_TOOLS.search(str(processor.chat_template)))

    def token_ids(self, request: ChatRequest) -> list[int]:
        """Ids of the rendered template; an image is still one pad token, and a message to continue has no end."""
        nonce = secrets.token_hex(8)
        words: list[str] = []

        def place(typed: str) -> str:
            words.append(typed)
            return f"\ue000{nonce}-{len(words) - 1}\ue001"

        continues = request.continue_final_message
        rendered = self._processor.apply_chat_template(
            **self._template_arguments(request, place), tokenize=False, add_generation_prompt=not continues
        )
        if continues:
            rendered = rendered[: rendered.rindex("\ue001") + 1]
        ids: list[int] = []
        trusted = ""
        # A run of places is one text to the tokenizer, so it is checked as one.
        for piece in re.split(rf"((?:\ue000{nonce}-\d+\ue001)+)", rendered):
            typed = "".join(words[int(n)] for n in re.findall(rf"\ue000{nonce}-(\d+)\ue001", piece))
            if self._special.search(typed):
                ids += self._encode(trusted, split_special_tokens=False)
                ids += self._encode(typed, split_special_tokens=True)
                trusted = ""
            else:
                trusted += typed if piece.startswith(f"\ue000{nonce}") else piece
        return ids + self._encode(trusted, split_special_tokens=False)

    def _template_arguments(self, request: ChatRequest, place: Callable[[str], str]) -> dict[str, Any]:
        """The conversation as the template reads it. `place` gives what stands for words that people typed."""
        if self._states_tools:
            return hermes.in_template(request, partial(_content_of, place=place), partial(self._in_json, place=place))
        turns = hermes.turns(request)
        return {"conversation": [{"role": t.role, "content": [_content(p, place) for p in t.parts]} for t in turns]}

    def _in_json(self, text: str, place: Callable[[str], str]) -> str:
        """What the template writes as JSON: only what would be a special token there needs a place."""
        written = hermes.json_text(text)[1:-1]
        return place(written) if self._special.search(written) else text

    def _encode(self, text: str, *, split_special_tokens: bool) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=split_special_tokens)["input_ids"]


def _content(part: Part | hermes.Markup, place: Callable[[str], str]) -> dict[str, str]:
    if isinstance(part, Text):
        return {"type": "text", "text": place(part.text)}
    if isinstance(part, hermes.Markup):
        return {"type": "text", "text": part.text}
    return {"type": "image"} if isinstance(part, Image) else {"type": "video"}


def _content_of(message: Message, place: Callable[[str], str]) -> str | list[dict[str, str]]:
    """A text where it is one: of calls and what tools answer, many templates read nothing else."""
    if all(isinstance(part, Text) for part in message.parts) and (message.tool_calls or message.role != "user"):
        return "".join(place(part.text) for part in message.parts if isinstance(part, Text))
    return [_content(part, place) for part in message.parts]
