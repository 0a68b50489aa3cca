"""JSON is measured before it is parsed, and gives what `json.loads` gives."""

import json
import random

import pytest

from qwen_demo.http import json_bounds
from qwen_demo.http.errors import ApiError

MIB = 1 << 20
FILE = "data:image/png;base64," + "Aa0+/" * 4000
LARGE = b'{"messages":[' + b'{"role":"user","content":"' + b"x" * json_bounds.SMALL_BYTES + b'"}'


async def refused(content: bytes) -> ApiError:
    with pytest.raises(ApiError) as error:
        await json_bounds.read(content)
    return error.value


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b'{"x":[' + b"[]," * (21 * MIB) + b"[]]}", 413, "4 MiB"),
        (b'{"x":[' + b"1.1e1," * (10 * MIB) + b"0]}", 413, "4 MiB"),
        (b'{"x":[' + b'{"":0},' * (9 * MIB) + b"0]}", 400, "20000 values"),
        (b'{"x":[' + b'"",' * MIB + b'""]}', 400, "20000 values"),
        (b'{"a":"' + b"hello " * MIB + b'"}', 413, "4 MiB"),
        (b'{"data:' + b"A" * (5 * MIB) + b'":1}', 413, "4 MiB"),
        (b'{"a":' * 10_000, 400, "nested"),
        (b" " * (5 * MIB) + b"{}", 413, "4 MiB"),
    ],
    ids=["brackets", "numbers", "names", "strings", "a text", "a name", "depth", "blanks"],
)
async def test_what_would_take_long_or_much_is_refused_by_its_bound(content, status, words):
    error = await refused(content)
    assert error.status == status
    assert words in str(error)


async def test_files_in_base64_do_not_count():
    files = [FILE * 60 for _ in range(6)]
    body = {"messages": [{"content": [{"url": file} for file in files]}], "image": "QUJD" * MIB}
    assert await json_bounds.read(json.dumps(body).encode()) == body


@pytest.mark.parametrize("shift", range(8))
async def test_an_escape_at_the_edge_of_a_window_is_not_cut_in_two(shift):
    filler = "A" * (json_bounds._WINDOW - 12 + shift)
    written = f'["data:,{filler}' + r"\u002B" * 3 + 'AAAAAAAAA"]'
    assert await json_bounds.read(written.encode()) == json.loads(written)


async def test_bare_base64_with_escapes_of_other_languages_is_a_file():
    written = '{"image":"' + r"QUJ\u002BQ\u003D" * (MIB // 2) + '"}'
    assert await json_bounds.read(written.encode()) == json.loads(written)


@pytest.mark.parametrize("escape", [r"\/", r"\n", r"\r\n"])
async def test_files_with_escapes_are_read_as_json_reads_them(escape):
    written = "data:image/png;base64," + ("A" * 75 + escape) * 5000
    content = f'{{"a":"{written}","b":[1]}}'.encode()
    assert await json_bounds.read(content) == json.loads(content)


def value(choose: random.Random, depth: int = 0):
    kind = choose.randrange(7)
    if kind == 0 or depth > 5:
        return choose.choice([None, True, 1.5, -3])
    if kind < 3:
        return "".join(choose.choice('ab"\\é/\n😀 ') for _ in range(choose.randrange(200)))
    if kind == 3:
        length = choose.randrange(9000)
        return choose.choice(["data:image/png;base64,", ""]) + "".join(
            choose.choice("ABCab01+/=") for _ in range(length)
        )
    if kind == 4:
        return [value(choose, depth + 1) for _ in range(choose.randrange(8))]
    return {f"k{n}" + "x" * choose.choice([0, 5000]): value(choose, depth + 1) for n in range(choose.randrange(6))}


async def test_any_value_is_read_as_json_reads_it():
    choose, compared = random.Random(1), 0
    for _ in range(25):
        written = json.dumps([value(choose) for _ in range(12)])
        plain = json.dumps(json.loads(written), ensure_ascii=False)
        for text in (written, written.replace("/", "\\/"), plain):
            for content in (text.encode(), text.encode("utf-16")):
                if len(content) > json_bounds.SMALL_BYTES:
                    compared += 1
                    assert await json_bounds.read(content) == json.loads(content)
    assert compared > 100


@pytest.mark.parametrize("end", [b"", b"\\", b'"', b'"}', b'"}]} x', b'\\u12"}]}'])
async def test_what_is_no_json_is_told_so(end):
    for begin in (b'{"a":[{"b":"', LARGE + b',{"role":"'):
        with pytest.raises(ValueError):
            await json_bounds.read(begin + b"A" * json_bounds.SMALL_BYTES + end)


async def test_depth_is_that_of_brackets_outside_of_texts():
    deep = b"[" * json_bounds.MAX_DEPTH + b'"' + b"[{" * 10_000 + b'"' + b"]" * json_bounds.MAX_DEPTH
    assert await json_bounds.read(deep)
    assert "nested" in str(await refused(b"[" + deep + b"]"))
    wide = b"[" + b"[[]]," * 3000 + b"[]]"
    assert len(await json_bounds.read(wide + b" " * json_bounds.SMALL_BYTES)) == 3001


async def test_an_event_of_the_page_has_its_own_bounds_and_tells_what_its_values_take():
    assert await json_bounds.check_event(b'{"data":[[],[],[]]}') == 7 * json_bounds.VALUE_BYTES
    many = b'{"data":[' + b"[]," * 9000 + b"[]]}"
    assert await json_bounds.check_event(many) >= 9000 * json_bounds.VALUE_BYTES
    with pytest.raises(ApiError, match="10000 values"):
        await json_bounds.check_event(b'{"data":[' + b"[]," * 15_000 + b"[]]}")
    with pytest.raises(ApiError, match="32 MiB"):
        await json_bounds.check_event(json.dumps({"data": [FILE * 1700]}).encode())
