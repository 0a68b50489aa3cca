"""Videos: the right frames at the right times, and a decoder that hostile files cannot use."""

import asyncio

import av
import numpy as np
import pytest

from qwen_demo.errors import MediaRefused
from qwen_demo.media import Clip
from qwen_demo.types import Video
from tests import hostile
from tests import hostile_clips as clips
from tests.media.test_images import assert_helpful

HANG_GUARD_S = 120

# All hold 60 frames at 30 a second.
TWO_SECONDS = [
    "plain.mp4",
    "plain.mov",
    "plain.webm",
    "plain.mkv",
    "live.webm",
    "fragmented.mp4",
    "plain.avi",
    "mjpeg.avi",
    "late-start.mkv",
    "claims-an-hour.mp4",
    "claims-nothing.mp4",
]
REFUSED = {
    "11-minutes.mkv": "lasts 662 s; the limit is 600 s",
    "endless.gif": "lasts 614 s",
    "huge-frames.avi": "damaged",
    "cut.mp4": "cut short",
    "no-frames.mp4": "cut short",
    "hls.mp4": "is playlist",
    "hidden-hls.mp4": "damaged",
    "ffconcat.mp4": "is playlist",
    "ffv1.mkv": "encoded in a way that is not accepted",
    "text.mp4": "unknown kind",
}


@pytest.fixture
def decode(loader):
    async def decode(name: str, clip: Clip | None = None, **limits) -> Video:
        async with asyncio.timeout(HANG_GUARD_S):
            return await loader(**limits).load_bytes(clips.CLIPS[name](), kind="video", clip=clip, name=name)

    return decode


def grey(frame) -> int:
    return frame.getpixel((frame.width // 2, frame.height // 2))[0]


def assert_sound(video: Video) -> None:
    assert len(video.frames) == len(video.times_s) and len(video.frames) % 2 == 0
    assert {frame.size for frame in video.frames} == {video.frames[0].size}
    assert {frame.mode for frame in video.frames} == {"RGB"}
    assert list(video.times_s) == sorted(video.times_s) and video.times_s[-1] < video.duration_s + 1e-6


def assert_frames_are_those_of_their_times(video: Video, rate: int) -> None:
    for frame, time in zip(video.frames, video.times_s, strict=True):
        assert abs(grey(frame) - clips.grey_of(int(time * rate + 0.01))) < 12, time


@pytest.mark.parametrize("name", TWO_SECONDS)
async def test_frames_are_those_of_their_times(decode, name):
    video = await decode(name)
    assert_sound(video)
    assert video.times_s == (0.0, 0.5, 1.0, 1.5) and video.fps == 2
    assert abs(video.duration_s - 2) < 0.05, "measured, whatever the header says"
    assert_frames_are_those_of_their_times(video, 30)
    red, green, _ = video.frames[0].getpixel((64, 8))
    assert red > 200 and green < 60


async def test_long_clips_are_sampled_from_first_frame_to_last_by_seeking(decode):
    video = await decode("8000-frames.mp4")
    assert_sound(video)
    assert len(video.frames) == 32 and abs(video.times_s[-1] - 7999 / 30) < 0.01
    assert np.allclose(np.diff(video.times_s), 1 / video.fps)
    assert_frames_are_those_of_their_times(video, 30)


@pytest.mark.parametrize(
    ("clip", "times"),
    [
        (Clip(start_s=1), (1.0, 1.5)),
        (Clip(start_s=0.5, end_s=1.5), (0.5, 1.0)),
        (Clip(fps=4), tuple(i / 4 for i in range(8))),
        (Clip(end_s=99, fps=1), (0.0, 1.0)),
        (Clip(max_frames=3, fps=10), (0.0, 59 / 30)),
        (Clip(end_s=0.2), (0.0, 5 / 30)),
    ],
)
async def test_a_part_can_be_sampled(decode, clip, times):
    video = await decode("plain.mp4", clip)
    assert np.allclose(video.times_s, times, atol=1e-3)
    assert_frames_are_those_of_their_times(video, 30)


async def test_no_more_frames_are_sampled_than_the_clip_has(decode):
    video = await decode("plain.mp4", Clip(fps=1000), max_frames=400)
    assert len(video.frames) == 60 and abs(video.fps - 30) < 0.1
    assert_frames_are_those_of_their_times(video, 30)


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (Clip(start_s=5), "ends at 2.0 s"),
        (Clip(start_s=1, end_s=1), "0 <= start < end"),
        (Clip(start_s=-1), "0 <= start < end"),
        (Clip(start_s=float("nan")), "0 <= start < end"),
        (Clip(fps=0), "above 0"),
        (Clip(fps=float("inf")), "above 0"),
        (Clip(max_frames=1), "--max-frames"),
        (Clip(max_frames=33), "--max-frames"),
    ],
)
async def test_a_part_that_cannot_be_is_refused(decode, clip, words):
    with pytest.raises(MediaRefused, match=words):
        await decode("plain.mp4", clip)


@pytest.mark.parametrize("name", REFUSED)
async def test_hostile_clips_are_refused_in_words_that_help(decode, name):
    with pytest.raises(MediaRefused) as caught:
        await decode(name)
    assert REFUSED[name] in str(caught.value)
    assert_helpful(str(caught.value))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_video_bytes": 1000}, "--max-video-bytes"),
        ({"max_video_seconds": 1.9}, "lasts 2 s; .*--max-video-seconds"),
        ({"max_video_seconds": 0.49}, "more than 59 frames.*--max-video-seconds"),
        ({"max_video_pixels": 128 * 96 - 1}, "--max-video-pixels"),
        ({"max_aspect_ratio": 1.3}, "--max-aspect-ratio"),
        ({"video_timeout_s": 0.0001}, "--video-timeout-s"),
    ],
)
async def test_each_limit_is_a_setting_that_the_refusal_names(decode, limits, words):
    with pytest.raises(MediaRefused, match=words):
        await decode("plain.mp4", **limits)


async def test_a_clip_cut_in_the_middle_gives_what_is_there(decode):
    video = await decode("cut-fragments.mp4")
    assert_sound(video)
    assert 0.5 < video.duration_s < 2
    assert_frames_are_those_of_their_times(video, 30)


async def test_one_frame_is_given_twice(decode):
    video = await decode("one-frame.mp4")
    assert_sound(video)
    assert len(video.frames) == 2 and video.times_s == (0.0, 0.0) and grey(video.frames[1]) == grey(video.frames[0])


async def test_small_frames_are_scaled_up_and_large_ones_down(decode):
    assert (await decode("tiny.mp4")).frames[0].size == (28, 28)
    width, height = (await decode("plain.mp4", frame_pixels=2000)).frames[0].size
    assert 1800 < width * height <= 2000 and abs(width / height - 128 / 96) < 0.05


async def test_pixels_that_are_not_square_are_made_so(decode):
    assert (await decode("wide-pixels.mkv")).frames[0].size == (256, 96)


async def test_turned_clips_come_upright(decode):
    frame = (await decode("rotated.mp4")).frames[0]
    assert frame.size == (96, 128)
    assert frame.getpixel((90, 64))[1] < 60 and frame.getpixel((5, 64))[1] < 60 + clips.grey_of(0)
    red, green, _ = frame.getpixel((90, 64))
    assert red > 200 and green < 60, "the upper edge as stored is the right one as shown"
    assert abs(frame.getpixel((20, 64))[0] - clips.grey_of(0)) < 12


async def test_animated_images_can_be_watched(loader):
    video = await loader().load_bytes(clips.CLIPS["animated.gif"](), kind="video")
    assert_sound(video)
    assert len(video.frames) == 4 and abs(video.duration_s - 2) < 0.1


async def test_see_through_animations_are_put_on_white(loader):
    shape = hostile.shape("RGBA")
    data = hostile.saved(shape, "GIF", save_all=True, append_images=[shape.rotate(45)] * 9, duration=100, disposal=2)
    frame = (await loader().load_bytes(data, kind="video")).frames[0]
    assert frame.getpixel((2, 2)) == (255, 255, 255) and frame.getpixel((32, 32)) == (0, 0, 0)


async def test_equal_clips_have_equal_digests_and_parts_do_not(decode):
    whole, again, part = [await decode("plain.mp4", clip) for clip in (None, None, Clip(end_s=1.9))]
    assert whole.digest == again.digest != part.digest


async def test_sound_and_subtitles_are_passed_over(loader, tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        sound = output.add_stream("aac", rate=16000)
        images = output.add_stream("libx264", rate=10)
        images.width = images.height = 64
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            output.mux(images.encode(frame))
        output.mux(images.encode())
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        wave.sample_rate = 16000
        output.mux(sound.encode(wave))
        output.mux(sound.encode())
    video = await loader().load_path(tmp_path / "a.mp4", allowed_roots=[tmp_path])
    assert len(video.frames) == 4 and abs(grey(video.frames[0]) - 90) < 5


async def test_bytes_after_the_header_can_be_anything(loader):
    """Damage anywhere gives frames or a refusal, and the decoder never outlives it."""
    data, random = clips.clip(), np.random.default_rng(5)
    for _ in range(12):
        spoiled = bytearray(data)
        for place in random.integers(32, len(data), 40):
            spoiled[place] = random.integers(256)
        try:
            assert_sound(await loader().load_bytes(bytes(spoiled), kind="video"))
        except MediaRefused as refusal:
            assert_helpful(str(refusal))
