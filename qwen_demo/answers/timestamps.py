"""Model text -> timestamps of a clip that it names, and their export as subtitles and chapters. Pure.

Qwen2.5-VL writes times as `mm:ss`, `mm:ss.ff` or `h:mm:ss`, in running text and in JSON with
`start_time` and `end_time` (its cookbook on video understanding); other models write seconds. A bare
"3 seconds" is a length as often as a time, so seconds count only after a word that says which.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_TIMESTAMPS = 200
MAX_TEXT_CHARACTERS = 50_000
MAX_LABEL_CHARACTERS = 160
# A clip's last second is often named by its rounded length.
SLACK_S = 1.0

_CLOCK = r"(?:(?P<{0}h>\d{{1,2}}):(?P<{0}hm>[0-5]\d)|(?P<{0}m>\d{{1,3}})):(?P<{0}s>[0-5]\d)(?:[.,](?P<{0}f>\d{{1,6}}))?"
_SECONDS = r"(?P<{0}n>\d{{1,6}}(?:\.\d{{1,6}})?)"
_UNIT = r"\s?(?:s|secs?|seconds?)\b|\s?秒"
_DASH = r"\s?(?:-->|[-–—~～]|to|until|到|至)\s?"
# Only after "between" does "and" stand between the ends of one part.
_UP_TO = rf"(?:{_DASH}|(?({{0}})\sand\s|(?!)))"
_CUES = r"(?:at|from|around|about|near|by|after|until|before|second|@|在|从|第|到)"
_TIME = re.compile(
    rf"(?<![\d:.,/])(?:(?P<both>between)\s)?(?:{_CLOCK.format('a')})(?!:?\d)(?!\s?[ap]\.?m\b)"
    rf"(?:{_UP_TO.format('both')}{_CLOCK.format('b')}(?!:?\d))?"
    rf"|(?:(?<![a-z])(?:(?P<ends>between)\s|{_CUES}\s?)|<\s?){_SECONDS.format('c')}(?:{_UNIT})?"
    rf"(?:{_UP_TO.format('ends')}{_SECONDS.format('d')})?(?P<unit>{_UNIT})",
    re.IGNORECASE,
)
_EDGES = " \t-–—:,;.()：，。、"
_OBJECT = re.compile(r"\{[^{}]*\}")
_STARTS = ("start_time", "start", "begin", "from", "time", "timestamp")
_ENDS = ("end_time", "end", "to")
_LABELS = ("description", "event", "label", "caption", "text", "title", "action", "content")


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time, or a part, of a clip that the text speaks about.

    Attributes:
        start_s, end_s: seconds from the first frame, 0 <= start_s <= end_s <= duration; `end_s` is
            None where the text names one time alone.
        label: what is said about it, one line.
        start, end: the characters of the text that name it.
    """

    start_s: float
    end_s: float | None
    label: str
    start: int
    end: int


def find(text: str, duration_s: float) -> list[Timestamp]:
    """All timestamps in `text`, in its order, that lie in a clip of `duration_s` seconds; at most `MAX_TIMESTAMPS`."""
    text = text[:MAX_TEXT_CHARACTERS]
    found, objects = [], []
    for match in _OBJECT.finditer(text):
        if timestamp := _from_object(match, duration_s):
            found.append(timestamp)
            objects.append(match.span())
    # Inside an object that was understood, its own numbers are no further timestamps.
    plain = text
    for start, end in objects[:MAX_TIMESTAMPS]:
        plain = plain[:start] + "\n" * (end - start) + plain[end:]
    found += _from_words(plain, duration_s)
    return sorted(found, key=lambda timestamp: timestamp.start)[:MAX_TIMESTAMPS]


def seconds_of(clock: str) -> float | None:
    """Seconds of `mm:ss`, `h:mm:ss` or a plain number, fractions allowed; None for anything else."""
    clock = clock.strip().lower().removesuffix("s").strip()
    if match := re.fullmatch(_CLOCK.format("a"), clock):
        return _clock(match, "a")
    return float(clock) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", clock) else None


def clock_of(seconds: float, *, millis: str = "", hours: bool = False, tenths: bool = False) -> str:
    """`m:ss` or `h:mm:ss`, rounded down; with `tenths` `m:ss.t` where it is no full second; with `millis` (the
    separator) `00:00:01.500`."""
    if tenths:
        whole_s, tenth = divmod(round(seconds * 10), 10)
        return clock_of(whole_s, hours=hours) + (f".{tenth}" if tenth else "")
    total = round(seconds * 1000) if millis else math.floor(seconds + 1e-9) * 1000
    whole, rest = divmod(total, 1000)
    if millis or hours:
        pieces = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
        return f"{pieces}{millis}{rest:03}" if millis else pieces
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}"


def _from_words(text: str, duration_s: float) -> Iterator[Timestamp]:
    matches = [match for match in _TIME.finditer(text) if not _is_length(match)]
    for index, match in enumerate(matches[: 4 * MAX_TIMESTAMPS]):
        start_s, end_s = _times(match)
        following = matches[index + 1].start() if index + 1 < len(matches) else len(text)
        earlier = matches[index - 1].end() if index else 0
        label = _label(text, match, earlier, following)
        if timestamp := _timestamp(start_s, end_s, label, match.span(), duration_s):
            yield timestamp


def _is_length(match: re.Match) -> bool:
    """`by 3 seconds` and `after 3 seconds of` speak of lengths where no clock does."""
    if not match["unit"] or match["dn"]:
        return False
    return re.match(r"\s(?:of|long|later|each)\b", match.string[match.end() : match.end() + 8]) is not None


def _times(match: re.Match) -> tuple[float, float | None]:
    if match["unit"]:
        return float(match["cn"]), float(match["dn"]) if match["dn"] else None
    return _clock(match, "a"), _clock(match, "b") if match["bs"] else None


def _clock(match: re.Match, part: str) -> float:
    hours, minutes = int(match[part + "h"] or 0), int(match[part + "hm"] or match[part + "m"])
    fraction = float(f"0.{match[part + 'f']}") if match[part + "f"] else 0.0
    return hours * 3600 + minutes * 60 + int(match[part + "s"]) + fraction


def _from_object(match: re.Match, duration_s: float) -> Timestamp | None:
    try:
        found = json.loads(match.group())
    except (ValueError, RecursionError):
        return None
    start_s = next((_time(found[name]) for name in _STARTS if name in found), None)
    if start_s is None:
        return None
    end_s = next((_time(found[name]) for name in _ENDS if name in found), None)
    label = next((found[name] for name in _LABELS if isinstance(found.get(name), str)), "")
    return _timestamp(start_s, end_s, _tidy(label), match.span(), duration_s)


def _time(value: object) -> float | None:
    if isinstance(value, str):
        return seconds_of(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < 1e6 and math.isfinite(value) else None


def _timestamp(
    start_s: float, end_s: float | None, label: str, span: tuple[int, int], duration_s: float
) -> Timestamp | None:
    if not 0 <= start_s <= duration_s + SLACK_S:
        return None
    start_s = min(start_s, duration_s)
    if end_s is not None:
        end_s = min(end_s, duration_s) if end_s >= start_s else None
    return Timestamp(start_s, end_s, label, *span)


def _label(text: str, match: re.Match, earlier: int, following: int) -> str:
    """What the line says after the time; where it says nothing there, what it says before."""
    line_end = text.find("\n", match.end())
    after = text[match.end() : min(following, line_end if line_end >= 0 else len(text), match.end() + 400)]
    words = _tidy(re.split(r"(?<=[.!?。！？])\s", after, maxsplit=1)[0])
    if sum(c.isalnum() for c in words) > 2:
        return words
    begin = max(earlier, text.rfind("\n", 0, match.start()) + 1, match.start() - 400)
    return _tidy(re.split(r"[.!?。！？]\s", text[begin : match.start()])[-1])


def _tidy(words: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in words)
    plain = re.sub(r"[*_`#|<>\[\]]+", " ", plain[: 4 * MAX_LABEL_CHARACTERS])
    plain = re.sub(r"\s+", " ", plain).strip(_EDGES)
    plain = re.sub(r"[,;]?\s(?:and|then|or)$", "", plain).rstrip(_EDGES)
    return plain if len(plain) <= MAX_LABEL_CHARACTERS else plain[: MAX_LABEL_CHARACTERS - 1] + "…"


def _ends(timestamps: Sequence[Timestamp], duration_s: float) -> list[tuple[float, float, str]]:
    """Start, end and label by time; where no end was named, the next start or the clip's end is one."""
    ordered = sorted(timestamps, key=lambda timestamp: timestamp.start_s)
    starts = [timestamp.start_s for timestamp in ordered]
    rows = []
    for index, timestamp in enumerate(ordered):
        end_s = timestamp.end_s
        if end_s is None:
            end_s = next((start for start in starts[index + 1 :] if start > timestamp.start_s), duration_s)
        # A cue without length is never shown.
        end_s = max(end_s, timestamp.start_s + 0.5)
        rows.append((timestamp.start_s, end_s, timestamp.label or f"Part {index + 1}"))
    return rows


def srt(timestamps: Sequence[Timestamp], duration_s: float) -> str:
    """SubRip: numbered cues that players show as subtitles."""
    cues = [
        f"{number}\n{clock_of(start, millis=',')} --> {clock_of(end, millis=',')}\n{label.replace('-->', '→')}\n"
        for number, (start, end, label) in enumerate(_ends(timestamps, duration_s), 1)
    ]
    return "\n".join(cues)


def webvtt(timestamps: Sequence[Timestamp], duration_s: float) -> str:
    """WebVTT (W3C), for the `track` element of a page, as chapters or subtitles."""
    cues = ["WEBVTT\n"]
    for start, end, label in _ends(timestamps, duration_s):
        plain = label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{clock_of(start, millis='.')} --> {clock_of(end, millis='.')}\n{plain}\n")
    return "\n".join(cues)


def chapters(timestamps: Sequence[Timestamp], duration_s: float) -> str:
    """One `m:ss title` a line, the first at 0:00, as video sites read them from a description."""
    rows: dict[int, str] = {}
    for start, _, label in _ends(timestamps, duration_s):
        rows.setdefault(math.floor(start), label)
    if rows and 0 not in rows:
        rows[0] = "Start"
    hours = duration_s >= 3600
    return "".join(f"{clock_of(second, hours=hours)} {rows[second]}\n" for second in sorted(rows))
