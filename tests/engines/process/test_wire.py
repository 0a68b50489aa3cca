"""Frames, descriptors and words between two processes, here between two ends in one."""

import asyncio
import contextlib
import os
import pickle
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from qwen_demo.engines.process import codec, wire
from qwen_demo.engines.process.wire import Channel
from qwen_demo.errors import EngineFailed, MediaRefused
from qwen_demo.types import Finished, Health, ModelInfo, TextDelta, Timing, TokenLogprob, Usage
from tests.conftest import image, question, until


class End:
    """One end and what it has got."""

    def __init__(self, end: socket.socket):
        self.frames: list[tuple[int, bytes, list[int]]] = []
        self.ended = False
        self.channel = Channel(end, lambda *frame: self.frames.append(frame), self._end)

    def _end(self) -> None:
        self.ended = True


@pytest.fixture
async def ends():
    ours, theirs = (End(each) for each in socket.socketpair())
    yield ours, theirs
    for end in (ours, theirs):
        end.channel.close()
        for _, _, descriptors in end.frames:
            for each in descriptors:
                os.close(each)


async def test_frames_arrive_whole_and_in_order_also_when_nobody_reads_for_a_while(ends):
    ours, theirs = ends
    sizes = [0, 1, 3_000_000, 17, 70_000, 5_000_000]
    for kind, size in enumerate(sizes):
        ours.channel.send(kind, bytes([kind]) * size)
    await until(lambda: len(theirs.frames) == len(sizes))
    assert [(kind, len(data)) for kind, data, _ in theirs.frames] == list(enumerate(sizes))
    assert all(set(data) <= {kind} for kind, data, _ in theirs.frames)


async def test_each_frame_has_its_own_descriptors(ends):
    ours, theirs = ends
    images = [image("red", (28, 28 + n)) for n in range(200)]
    rasters = [each.raster for each in images]
    wanted = [rasters[:1], [], rasters[1:100], rasters[100:]]
    for kind, group in enumerate(wanted):
        ours.channel.send(kind, b"x" * 300_000, group)
    await until(lambda: len(theirs.frames) == 4)
    for (_, _, descriptors), group in zip(theirs.frames, wanted, strict=True):
        inodes = [os.fstat(each).st_ino for each in descriptors]
        assert inodes == [os.fstat(each.fd).st_ino for each in group]
        assert not any(os.get_inheritable(each) for each in descriptors)


def times_open(inode: int) -> int:
    """How many descriptors this process has of that memory."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.fstat(int(number)).st_ino == inode
    return found


async def test_descriptors_live_until_they_are_sent_and_no_longer(ends):
    ours, theirs = ends
    ours.channel.send(0, b"x" * 5_000_000)
    red = image("red")
    inode = os.fstat(red.raster.fd).st_ino
    ours.channel.send(1, b"", [red.raster])
    del red
    assert times_open(inode) == 1
    await until(lambda: len(theirs.frames) == 2)
    assert os.fstat(theirs.frames[1][2][0]).st_ino == inode
    assert times_open(inode) == 1  # the one that arrived


async def test_too_many_descriptors_are_refused_before_anything_is_sent(ends):
    ours, theirs = ends
    with pytest.raises(ValueError, match="129"):
        ours.channel.send(0, b"", [SimpleNamespace(fd=0)] * 129)
    ours.channel.send(1, b"fine")
    await until(lambda: theirs.frames)
    assert theirs.frames == [(1, b"fine", [])]


async def test_the_end_of_one_is_told_to_the_other_once_and_sending_on_is_harmless(ends):
    ours, theirs = ends
    theirs.channel.send(3, b"last words")
    theirs.channel.close()
    await until(lambda: ours.ended)
    assert ours.frames == [(3, b"last words", [])]
    ours.channel.send(0, b"x")
    theirs.channel.send(0, b"x")


async def test_a_frame_without_its_descriptors_ends_the_channel(ends):
    ours, theirs = ends
    ours.channel.send_raw(wire.HEADER.pack(0, 1, 2))
    await until(lambda: theirs.ended)
    assert theirs.frames == []


async def test_a_full_table_of_descriptors_is_waited_for(ends, monkeypatch):
    ours, theirs = ends
    real, refusals = ours.channel._send_some, iter([True, True, False])

    def crowded(first):
        if next(refusals):
            raise OSError(wire.errno.ETOOMANYREFS, "too many")
        return real(first)

    monkeypatch.setattr(ours.channel, "_send_some", crowded)
    red = image("red")
    ours.channel.send(1, b"x", [red.raster])
    assert theirs.frames == []
    await until(lambda: theirs.frames)
    assert len(theirs.frames[0][2]) == 1


def test_values_come_back_as_they_went():
    finished = Finished("length", Usage(3, 2, 1), Timing(ttft_s=0.5, encoder_hit=(True, False)))
    delta = TextDelta("é", (TokenLogprob("é", -1.0, (("e", -2.0),)),))
    snapshot = codec.Snapshot(Health(True, 1, 2, "ready", 4, {"steps": 3.0}), ModelInfo("m", revision="r"))
    for event in (finished, delta, TextDelta("plain")):
        assert codec.unpack_event(codec.decode(codec.encode(codec.pack_event(event)))) == event
    assert codec.decode(codec.encode(snapshot)) == snapshot


def test_a_request_keeps_everything_but_its_descriptors():
    red = image("red")
    request = replace(question("What?", red, red, seed=3, stop=("a",)), request_id="r", min_pixels=7)
    data, rasters = codec.encode_request(request)
    assert rasters == [red.raster]
    read = codec.decode_request(data, [os.dup(each.fd) for each in rasters])
    first, second, text = read.messages[0].parts
    assert first.raster is second.raster and first.digest == red.digest
    assert (first.raster.array() == red.raster.array()).all()
    assert (text, read.sampling, read.request_id, read.min_pixels) == (
        request.messages[0].parts[2],
        request.sampling,
        "r",
        7,
    )
    assert len(data) < 1000


class Refused(MediaRefused):
    """A kind that the other side does not know."""


def test_an_error_of_an_unknown_kind_comes_as_its_nearest_known_one():
    error = Refused("no", field="messages")
    error.cause = OSError("secret")
    read = codec.unpack_error(codec.decode(codec.encode(codec.pack_error(error))))
    assert (type(read), str(read), vars(read)) == (MediaRefused, "no", {"field": "messages"})


class Hostile:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    "value", [Hostile(), asyncio.Queue, EngineFailed.__init__, pickle.Unpickler], ids=["call", "class", "dotted", "own"]
)
def test_nothing_but_words_of_this_program_is_read(value):
    for read in (codec.decode, lambda data: codec.decode_request(data, [])):
        with pytest.raises(pickle.UnpicklingError, match="no word"):
            read(pickle.dumps(value))


def test_what_cannot_be_read_leaves_no_descriptor():
    red, blue = image("red"), image("blue", (28, 28))
    data, rasters = codec.encode_request(question("What?", red, blue))
    inodes = [os.fstat(each.fd).st_ino for each in rasters]
    for broken, kind in ((data[:20], (pickle.UnpicklingError, EOFError)), (data, ValueError)):
        with pytest.raises(kind):
            codec.decode_request(broken, [os.dup(each.fd) for each in reversed(rasters)])
        assert [times_open(inode) for inode in inodes] == [1, 1]
