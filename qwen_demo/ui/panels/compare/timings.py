"""Where the time of two answers went, side by side, and which was faster. Pure."""

from collections.abc import Sequence

from qwen_demo.types import Finished
from qwen_demo.ui import waterfall


def compare(first: Finished, second: Finished) -> dict:
    """The table: rows of a key in `texts.COMPARE`, both values, and the number of the faster side where that tells."""
    pair = (first, second)
    firsts, wholes = [waterfall.first_s(each) for each in pair], [waterfall.whole_s(each) for each in pair]
    rows = [(key, [waterfall.format_seconds(s) for s in seconds]) for key, seconds in _stages(pair)]
    rows.insert(-1, ("first", [waterfall.format_seconds(seconds) for seconds in firsts]))
    rows.append(("whole", [waterfall.format_seconds(seconds) for seconds in wholes]))
    columns = [dict(waterfall.counts(each)) for each in pair]
    rows += [(key, [column[key] for column in columns]) for key in columns[0]]
    speeds = [column["speed"] for column in columns]
    measured = all(waterfall.speed(each) for each in pair)
    better = {"first": _less(firsts), "whole": _less(wholes)}
    if measured:
        better["speed"] = _less([-float(speed) for speed in speeds])
    longest = max(sum(seconds for _, seconds in waterfall.stages(each)) for each in pair) or 1.0
    by = waterfall.format_seconds(abs(wholes[0] - wholes[1]))
    return {
        "rows": [
            {"key": key, "values": values, "better": better.get(key) if values[0] != values[1] else None}
            for key, values in rows
        ],
        "bars": [[[key, seconds / longest] for key, seconds in waterfall.stages(each)] for each in pair],
        "sooner": None if by == waterfall.format_seconds(0) else better["whole"],
        "by": by,
        "quicker": better.get("speed"),
        "speeds": speeds,
    }


def _stages(pair: Sequence[Finished]) -> list[tuple[str, list[float]]]:
    columns = [dict(waterfall.stages(each)) for each in pair]
    return [(key, [column[key] for column in columns]) for key in columns[0]]


def _less(values: Sequence[float]) -> int | None:
    """Which of the two is less; None where neither is."""
    return None if values[0] == values[1] else int(values[1] < values[0])
