"""An object of somebody's data file -> `Row`: the formats that people have. Opens no file but through `Place`.

- OpenAI's `messages`, whose content is text or parts with `image_url`. `weight: 0` leaves an answer out of training,
  and `corrected` is what the answer should have been.
- LLaMA-Factory's `messages` (or `conversations`) with `images`, one `<image>` in the words for each.
- LLaVA's `conversations` with `image`, `<image>` in the words as well.
- Flat: `image`, `answer` and perhaps `question`, as a line of a CSV has them.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Protocol

from qwen_demo.finetune.rows import PARTS, ImageFile, PartOf, Row, RowTurn

TAG = "<image>"
ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
KNOWN = "messages, conversations, or image and answer"
# What the question would be another one without.
NOT_TAUGHT = ("videos", "video", "audios", "audio", "tools", "functions")


class BadRow(ValueError):
    """Why an object is no row; the message is for people."""


class Place(Protocol):
    """Where a row's images are looked for."""

    def image(self, said: str) -> ImageFile:
        """Raises `BadRow` where there is none."""


def row_of(item: Any, where: str, place: Place, *, part: PartOf = "", question: str = "") -> Row:
    """
    Args:
        part: of the file; what the object says of itself wins.
        question: for rows that have an answer alone.

    Raises:
        BadRow: naming the field at fault.
    """
    if not isinstance(item, Mapping):
        raise BadRow(f"is {_kind(item)}, not an object with {KNOWN}.")
    if lost := [key for key in NOT_TAUGHT if item.get(key)]:
        raise BadRow(f"has {', '.join(lost)}, which nothing here learns from; without it its question is another one.")
    turns = _turns(item, place, question)
    system = item.get("system")
    if isinstance(system, str) and system.strip() and turns[0].role != "system":
        turns.insert(0, RowTurn("system", (system,)))  # where LLaMA-Factory has it
    _check(turns)
    return Row(tuple(turns), where, _part(item) or part)


def _turns(item: Mapping[str, Any], place: Place, question: str) -> list[RowTurn]:
    for key in ("messages", "conversations"):
        if key in item:
            if not isinstance(item[key], list) or not item[key]:
                raise BadRow(f"{key} is {_kind(item[key])}, not a list of turns.")
            return _Conversation(item, place).turns(item[key])
    if "answer" in item:
        asked = item.get("question") or question
        if not isinstance(asked, str) or not asked.strip():
            raise BadRow("has no question. Add a column question, or give --question for all of them.")
        if not isinstance(item["answer"], str):
            raise BadRow(f"answer is {_kind(item['answer'])}, not a text.")
        images = [place.image(said) for said in _named_images(item)]
        return [RowTurn("user", (*images, asked)), RowTurn("assistant", (item["answer"],), taught=True)]
    raise BadRow(f"has none of {KNOWN}; its fields are {', '.join(map(str, item)) or 'none'}.")


class _Conversation:
    """Turns of one object; hands out its images in the order of their tags."""

    def __init__(self, item: Mapping[str, Any], place: Place):
        self.place = place
        self.named = _named_images(item)
        self.used = 0

    def turns(self, said: list[Any]) -> list[RowTurn]:
        turns = [self._turn(number, each) for number, each in enumerate(said, 1)]
        if self.used != len(self.named):
            raise BadRow(
                f"lists {len(self.named)} images, and its words have {self.used} {TAG} tags: one for each is needed, "
                "where the image stands."
            )
        return turns

    def _turn(self, number: int, said: Any) -> RowTurn:
        if not isinstance(said, Mapping):
            raise BadRow(f"turn {number} is {_kind(said)}, not an object.")
        name = said.get("role", said.get("from"))
        role = ROLES.get(str(name))
        if role is None:
            raise BadRow(f"turn {number} has the role {name!r}; known are {', '.join(ROLES)}.")
        content = said.get("content", said.get("value"))
        if role == "assistant":
            corrected = said.get("corrected")
            content = corrected if isinstance(corrected, str) and corrected.strip() else content
        parts = self._parts(number, content)
        if role == "assistant" and not all(isinstance(part, str) for part in parts):
            raise BadRow(f"turn {number} is an answer with an image; answers are text.")
        return RowTurn(role, tuple(parts), role == "assistant" and said.get("weight", 1) != 0)

    def _parts(self, number: int, content: Any) -> list[str | ImageFile]:
        if isinstance(content, str):
            return self._tagged(content) if self.named else [content]
        if not isinstance(content, list):
            raise BadRow(f"turn {number} has {_kind(content)} for its content, not a text or a list of parts.")
        return [part for each in content for part in self._part(number, each)]

    def _tagged(self, text: str) -> list[str | ImageFile]:
        first, *others = text.split(TAG)
        parts: list[str | ImageFile] = [first]
        for words in others:
            if self.used >= len(self.named):
                raise BadRow(f"has more {TAG} tags than the {len(self.named)} images that it lists.")
            parts += [self.place.image(self.named[self.used]), words]
            self.used += 1
        # A tag's line of its own is how these formats write it, no words of the question's.
        parts = [part.strip("\n") if isinstance(part, str) and len(parts) > 1 else part for part in parts]
        return [part for part in parts if part != ""]

    def _part(self, number: int, part: Any) -> list[str | ImageFile]:
        if isinstance(part, str):
            return [part]
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("text", "input_text", "output_text") and isinstance(part.get("text"), str):
            return self._tagged(part["text"]) if self.named and TAG in part["text"] else [part["text"]]
        if kind in ("image_url", "input_image", "image"):
            said = part.get("image_url", part.get("image", part.get("path", part.get("url"))))
            said = said.get("url") if isinstance(said, Mapping) else said
            if said is None and self.used < len(self.named):
                said, self.used = self.named[self.used], self.used + 1
            if isinstance(said, str):
                return [self.place.image(said)]
        raise BadRow(f"turn {number} has a part of the type {kind!r} that is neither a text nor an image with its URL.")


def _named_images(item: Mapping[str, Any]) -> list[str]:
    """What `image` or `images` list."""
    named = item.get("images", item.get("image"))
    if named is None or named == "":
        return []
    named = [named] if isinstance(named, str | Mapping) else named
    if not isinstance(named, list):
        raise BadRow(f"image is {_kind(named)}, not a path, a URL or a list of them.")
    found = [each.get("path", each.get("url")) if isinstance(each, Mapping) else each for each in named]
    if not all(isinstance(each, str) and each for each in found):
        raise BadRow("lists an image that is no path and no URL.")
    return [str(each) for each in found]


def _check(turns: list[RowTurn]) -> None:
    roles = [turn.role for turn in turns if turn.role != "system"]
    if "system" in (turn.role for turn in turns[1:]):
        raise BadRow("has a system message that is not the first.")
    if not roles or roles[0] != "user" or any(a == b for a, b in itertools.pairwise(roles)):
        raise BadRow("does not go to and fro: a question first, then answers and questions in turn.")
    if roles[-1] != "assistant":
        raise BadRow("ends with a question; the last turn is the answer that is learnt.")
    if not any(turn.taught for turn in turns):
        raise BadRow("has the weight 0 for every answer: nothing is learnt from it.")
    for number, turn in enumerate(turns, 1):
        if turn.taught and not turn.text.strip():
            raise BadRow(f"turn {number} is an empty answer.")


def _part(item: Mapping[str, Any]) -> PartOf:
    said = item.get("split", "")
    if not said:
        return ""
    if str(said).lower() not in PARTS:
        raise BadRow(f"has the split {said!r}; known are {', '.join(PARTS)}.")
    return PARTS[str(said).lower()]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "missing", bool: "true or false"}
    return names.get(type(value), "a number")
