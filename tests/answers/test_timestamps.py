"""Times in an answer: found where they are meant, never outside the clip, exported so that players read them."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.answers import timestamps as timestamps
from qwen_demo.answers.timestamps import Timestamp

DURATION = 7200.0


def times(text: str, duration: float = DURATION) -> list[tuple[float, float | None]]:
    return [(timestamp.start_s, timestamp.end_s) for timestamp in timestamps.find(text, duration)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dog jumps at 0:05.", [(5, None)]),
        ("00:01.50 - 00:05.25 a man walks", [(1.5, 5.25)]),
        ("1:02:03 the end", [(3723, None)]),
        ("[00:00:02,500 --> 00:00:04,000] hello", [(2.5, 4)]),
        ("at 3.5 s it turns red", [(3.5, None)]),
        ("From 2 to 8.5 seconds it moves, and around 10s it stops.", [(2, 8.5), (10, None)]),
        ("between 2 s and 4 s, or between 0:05 and 0:06", [(2, 4), (5, 6)]),
        ("at 0:01 and 0:02.5, at 3 s and at 4 s", [(1, None), (2.5, None), (3, None), (4, None)]),
        ("<0.5 seconds> a ball", [(0.5, None)]),
        ("在3.5秒，球停下。00:07 出现红色", [(3.5, None), (7, None)]),
        ("- 0:01: start\n- 0:02: middle\n- 0:03: end", [(1, None), (2, None), (3, None)]),
        ("125:30 is late", []),
    ],
)
def test_each_way_of_writing_a_time_is_read(text, expected):
    assert times(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "It lasts 3 seconds.",
        "a 16:9 image, and 4:3 too",
        "the score is 3:2",
        "It is 4:30 pm on 2024-05-01",
        "1:2:3:44 and 12:34:56:78 and 192.168.00.10:80",
        "http://example.org:80/10:99",
        "after 3 seconds of silence",
        "0:75 is no time",
        '{"bbox_2d": [1, 2, 3, 4], "label": "dog"}',
        "the 3 seconds",
    ],
)
def test_what_is_no_moment_is_left_alone(text):
    assert times(text) == []


def test_the_json_of_the_cookbook_is_read_with_its_words():
    answer = """```json
[{"start_time": "00:01.50", "end_time": "00:05.00", "description": "The square moves down from 0:03."},
 {"start_time": 6, "end_time": 7.5, "event": "It stops."}]
```"""
    first, second = timestamps.find(answer, 10)
    assert (first.start_s, first.end_s, first.label) == (1.5, 5.0, "The square moves down from 0:03")
    assert (second.start_s, second.end_s, second.label) == (6.0, 7.5, "It stops")
    assert answer[second.start : second.end].startswith("{")


def test_a_label_is_what_the_line_says_about_the_time():
    found = timestamps.find("- **0:01** – The ball falls. Then nothing.\nThe ball bounces at 0:04.\n0:09", 20)
    assert [timestamp.label for timestamp in found] == ["The ball falls", "The ball bounces at", ""]


def test_times_beyond_the_clip_are_left_out_and_its_rounded_end_counts():
    assert times("0:01, 0:10, 0:11 and 9:59", 9.6) == [(1, None), (9.6, None)]
    assert times("0:05 - 0:30", 10) == [(5, 10)]
    assert times("0:08 - 0:02", 10) == [(8, None)]


@given(
    st.text(max_size=300) | st.from_regex(r"([0-9:.\- s]|at |\{|\"start_time\": )*", fullmatch=True), st.floats(0, 9999)
)
def test_whatever_the_text_its_moments_lie_in_the_clip_and_in_the_text(text, duration):
    last = 0
    for timestamp in timestamps.find(text, duration):
        assert 0 <= timestamp.start_s <= (duration if timestamp.end_s is None else timestamp.end_s) <= duration
        assert last <= timestamp.start < timestamp.end <= len(text)
        assert "\n" not in timestamp.label and len(timestamp.label) <= timestamps.MAX_LABEL_CHARACTERS
        last = timestamp.start


@given(st.lists(st.integers(0, 7199), max_size=20))
def test_every_clock_that_is_written_is_found_again(seconds):
    text = "\n".join(f"{timestamps.clock_of(second)} something happens" for second in seconds)
    assert times(text) == [(second, None) for second in seconds]


def test_tenths_are_shown_where_there_are_any():
    shown = [timestamps.clock_of(seconds, tenths=True) for seconds in (0, 1.5, 59.96, 61.04, 3600.9)]
    assert shown == ["0:00", "0:01.5", "1:00", "1:01", "1:00:00.9"]


@given(st.floats(0, 359_999))
def test_a_clock_with_millis_says_the_time(seconds):
    assert timestamps.seconds_of(timestamps.clock_of(seconds, millis=".")) == pytest.approx(seconds, abs=6e-4)


def test_a_flood_of_times_is_cut_and_takes_no_long():
    assert len(timestamps.find("0:01 " * 100_000, 10)) == timestamps.MAX_TIMESTAMPS
    assert timestamps.find('{"start_time": ' * 20_000 + "9" * 50_000, 10) == []
    assert timestamps.find(json.dumps({"start_time": 10**400, "end_time": "x"}), 10) == []
    assert timestamps.find('{"start_time": NaN}', 10) == []
    assert timestamps.find("at " * 60_000, 10) == []


labels = st.text(max_size=40).map(lambda text: " ".join("".join(c for c in text if c.isprintable()).split()))
lists = st.lists(
    st.builds(
        lambda start, length, label: Timestamp(start, None if length is None else min(start + length, 60), label, 0, 1),
        st.floats(0, 60),
        st.none() | st.floats(0, 60),
        labels,
    ),
    max_size=12,
)
CUE = re.compile(r"^(\d\d:\d\d:\d\d[,.]\d{3}) --> (\d\d:\d\d:\d\d[,.]\d{3})$", re.MULTILINE)


@given(lists)
def test_subtitles_have_one_cue_a_moment_each_with_a_length(found):
    for text in (timestamps.srt(found, 60), timestamps.webvtt(found, 60)):
        cues = [tuple(map(timestamps.seconds_of, cue)) for cue in CUE.findall(text)]
        assert len(cues) == len(found) == text.count("-->")
        assert all(start < end for start, end in cues)
        assert [start for start, _ in cues] == sorted(start for start, _ in cues)


@given(lists)
def test_chapters_begin_at_zero_and_rise(found):
    lines = timestamps.chapters(found, 60).splitlines()
    starts = [timestamps.seconds_of(line.split(" ")[0]) for line in lines]
    assert bool(lines) == bool(found)
    assert starts == sorted(set(starts)) and (not starts or starts[0] == 0)


def test_subtitles_read_as_players_want_them():
    found = timestamps.find("0:01 one <b>\n0:02 - 0:03 two --> three", 10)
    assert timestamps.srt(found, 10) == (
        "1\n00:00:01,000 --> 00:00:02,000\none b\n\n2\n00:00:02,000 --> 00:00:03,000\ntwo -- three\n"
    )
    assert timestamps.webvtt(found[:1], 10).startswith("WEBVTT\n\n00:00:01.000 --> 00:00:10.000\n")
    assert timestamps.chapters(found, 10) == "0:00 Start\n0:01 one b\n0:02 two -- three\n"
